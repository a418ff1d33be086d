import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

from tilewise.synthetic.config import SynthConfig
from tilewise.synthetic.latents import (
    CODES,
    class_means,
    draw_latents,
    draw_unlabelled,
    half_step,
    posterior,
    priors,
    to_unit,
)


def distances(words: np.ndarray) -> np.ndarray:
    pairs = np.abs(words[:, None] - words).sum(axis=2)
    return pairs[~np.eye(len(words), dtype=bool)]


def test_code_words_are_as_far_apart_as_said() -> None:
    assert set(distances(CODES[:4])) == {4.0}
    assert distances(CODES).min() == 3.0


@pytest.mark.parametrize("num_classes", range(2, 9))
def test_nearest_classes_are_equally_far_whatever_their_number(num_classes: int) -> None:
    config = SynthConfig(difficulty=0.5, classes={str(k): 1.0 for k in range(num_classes)})
    means = class_means(config)
    gaps = np.linalg.norm(means[:, None] - means, axis=2)[~np.eye(num_classes, dtype=bool)]
    assert gaps.min() == pytest.approx(3.4)


def test_difficulty_one_has_no_signal() -> None:
    assert half_step(1.0, 4) == 0.0
    config = SynthConfig(difficulty=1.0)
    latents = np.random.default_rng(0).standard_normal((5, 6))
    np.testing.assert_allclose(posterior(config, latents), np.tile(priors(config), (5, 1)))


@given(st.integers(0, 2**32), st.floats(0.0, 1.0))
def test_posterior_is_bayes_rule(seed: int, difficulty: float) -> None:
    config = SynthConfig(difficulty=difficulty)
    latents = 3.0 * np.random.default_rng(seed).standard_normal((4, 6))
    joint = np.stack(
        [
            p * multivariate_normal(mean).pdf(latents)
            for p, mean in zip(priors(config), class_means(config), strict=True)
        ],
        axis=1,
    )
    np.testing.assert_allclose(
        posterior(config, latents), joint / joint.sum(axis=1, keepdims=True), rtol=1e-6, atol=1e-12
    )


def test_draws_have_the_class_means_and_unit_variance() -> None:
    config = SynthConfig(difficulty=0.3)
    labels = np.repeat(np.arange(4), 20_000)
    latents = draw_latents(config, labels, np.random.default_rng(1))
    for label in range(4):
        np.testing.assert_allclose(latents[labels == label].mean(axis=0), class_means(config)[label], atol=0.04)
        np.testing.assert_allclose(latents[labels == label].std(axis=0), 1.0, atol=0.03)


def test_unlabelled_draws_cover_the_range_of_the_cohort() -> None:
    config = SynthConfig(difficulty=0.2)
    rng = np.random.default_rng(2)
    labels = rng.choice(4, size=40_000, p=priors(config))
    of_slides = draw_latents(config, labels, rng)
    of_others = draw_unlabelled(config, rng, num=40_000)
    for share in (0.02, 0.25, 0.5, 0.75, 0.98):
        np.testing.assert_allclose(
            np.quantile(of_slides, share, axis=0), np.quantile(of_others, share, axis=0), atol=0.12
        )


def test_unit_keeps_the_order_and_is_the_normal_distribution_function() -> None:
    config = SynthConfig(difficulty=0.5)
    latents = np.array([-3.0, -1.0, 0.0, 0.5, 1.0, 4.0])
    unit = to_unit(config, latents)
    assert list(unit) == sorted(unit)
    spread = np.sqrt(1 + half_step(0.5, 4) ** 2)
    np.testing.assert_allclose(unit, norm.cdf(latents / spread))
