"""From the tiles of a slide to the slide."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from tilewise.models import HeadConfig
from tilewise.models.aggregate_tiles import aggregate_majority, aggregate_max, aggregate_mean, build_aggregator
from tilewise.models.config import Aggregator


@given(seed=st.integers(0, 10_000), num_tiles=st.integers(0, 60), num_slides=st.integers(1, 8))
def test_equals_a_group_by(seed: int, num_tiles: int, num_slides: int) -> None:
    rng = np.random.default_rng(seed)
    tile_slide_N = rng.integers(0, num_slides, num_tiles)
    probabilities_NC = rng.dirichlet(np.ones(3), num_tiles).astype(np.float32)
    probabilities_SC, num_tiles_S = aggregate_mean(probabilities_NC, tile_slide_N, num_slides)
    expected = pd.DataFrame(probabilities_NC.astype(np.float64)).groupby(tile_slide_N).mean().reindex(range(num_slides))
    np.testing.assert_allclose(probabilities_SC, expected.to_numpy(), rtol=1e-12)
    np.testing.assert_array_equal(num_tiles_S, [(tile_slide_N == slide).sum() for slide in range(num_slides)])


def test_a_slide_does_not_depend_on_the_others() -> None:
    rng = np.random.default_rng(0)
    probabilities_NC = rng.dirichlet(np.ones(4), 500).astype(np.float32)
    tile_slide_N = rng.integers(0, 20, 500)
    together, _ = aggregate_mean(probabilities_NC, tile_slide_N, 20)
    for slide in range(20):
        alone, _ = aggregate_mean(
            probabilities_NC[tile_slide_N == slide], np.zeros((tile_slide_N == slide).sum(), int), 1
        )
        assert alone.tobytes() == together[slide].tobytes()


@given(seed=st.integers(0, 10_000), num_tiles=st.integers(0, 60), num_slides=st.integers(1, 8))
def test_majority_counts_votes_and_max_takes_the_highest(seed: int, num_tiles: int, num_slides: int) -> None:
    rng = np.random.default_rng(seed)
    tile_slide_N = rng.integers(0, num_slides, num_tiles)
    probabilities_NC = rng.dirichlet(np.ones(3), num_tiles).astype(np.float32)
    majority_SC, _ = aggregate_majority(probabilities_NC, tile_slide_N, num_slides)
    max_SC, num_tiles_S = aggregate_max(probabilities_NC, tile_slide_N, num_slides)
    for slide in range(num_slides):
        own = probabilities_NC[tile_slide_N == slide].astype(np.float64)
        assert num_tiles_S[slide] == len(own)
        if not len(own):
            assert np.isnan(majority_SC[slide]).all()
            assert np.isnan(max_SC[slide]).all()
            continue
        votes = [sum(int(row.argmax()) == klass for row in own) for klass in range(3)]
        np.testing.assert_allclose(majority_SC[slide], np.array(votes) / len(own), rtol=1e-12)
        np.testing.assert_allclose(max_SC[slide], own.max(axis=0) / own.max(axis=0).sum(), rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("mean", [0.5, 0.3, 0.2]), ("majority", [1 / 3, 2 / 3, 0.0]), ("max", [0.9 / 1.8, 0.5 / 1.8, 0.4 / 1.8])],
)
def test_one_sure_tile_against_two_that_hesitate(name: Aggregator, expected: list[float]) -> None:
    tiles = np.array([[0.9, 0.0, 0.1], [0.4, 0.5, 0.1], [0.2, 0.4, 0.4]], dtype=np.float32)
    slides_SC, _ = build_aggregator(HeadConfig(aggregate=name))(tiles, np.zeros(3, np.int64), 1)
    np.testing.assert_allclose(slides_SC[0], expected, rtol=1e-6)


def test_a_tie_within_a_tile_is_a_vote_for_the_first_class() -> None:
    slides_SC, _ = aggregate_majority(np.array([[0.5, 0.5]], dtype=np.float32), np.zeros(1, np.int64), 1)
    assert slides_SC.tolist() == [[1.0, 0.0]]


@given(seed=st.integers(0, 10_000), num_tiles=st.integers(0, 60), num_slides=st.integers(1, 8))
def test_top_k_noisy_or_and_log_sum_exp_by_their_formulas(seed: int, num_tiles: int, num_slides: int) -> None:
    rng = np.random.default_rng(seed)
    tile_slide_N = rng.integers(0, num_slides, num_tiles)
    probabilities_NC = rng.dirichlet(np.full(3, 0.3), num_tiles).astype(np.float32)
    heads = (
        HeadConfig(aggregate="top_k", top_k=3),
        HeadConfig(aggregate="noisy_or"),
        HeadConfig(aggregate="log_sum_exp", temperature=0.07),
    )
    results = [build_aggregator(head)(probabilities_NC, tile_slide_N, num_slides) for head in heads]
    for slide in range(num_slides):
        own = probabilities_NC[tile_slide_N == slide].astype(np.float64)
        assert all(num_tiles_S[slide] == len(own) for _, num_tiles_S in results)
        if not len(own):
            assert all(np.isnan(probabilities_SC[slide]).all() for probabilities_SC, _ in results)
            continue
        expected = (
            [np.mean(sorted(column)[-3:]) for column in own.T],
            1.0 - np.prod(1.0 - own, axis=0),
            0.07 * np.log(np.mean(np.exp(own / 0.07), axis=0)),
        )
        for (probabilities_SC, _), scores_C in zip(results, expected, strict=True):
            np.testing.assert_allclose(probabilities_SC[slide], scores_C / np.sum(scores_C), rtol=1e-6, atol=1e-9)


def test_temperature_goes_from_the_highest_to_the_mean_and_top_k_too() -> None:
    rng = np.random.default_rng(0)
    probabilities_NC, same_N = rng.dirichlet(np.ones(3), 40).astype(np.float32), np.zeros(40, np.int64)

    def of(**keys: object) -> np.ndarray:
        return build_aggregator(HeadConfig.model_validate(keys))(probabilities_NC, same_N, 1)[0][0]

    highest, mean = of(aggregate="max"), of(aggregate="mean")
    np.testing.assert_allclose(of(aggregate="log_sum_exp", temperature=1e-5), highest, rtol=1e-3)
    np.testing.assert_allclose(of(aggregate="log_sum_exp", temperature=1000.0), mean, rtol=1e-3)
    np.testing.assert_allclose(of(aggregate="top_k", top_k=1), highest, rtol=1e-6)
    np.testing.assert_allclose(of(aggregate="top_k", top_k=99), mean, rtol=1e-6)
    certain = np.array([[1.0, 0.0, 0.0]], dtype=np.float32)
    assert build_aggregator(HeadConfig(aggregate="noisy_or"))(certain, same_N[:1], 1)[0].tolist() == [[1.0, 0.0, 0.0]]


@pytest.mark.parametrize("weights", ["mask_ratio", "confidence", "mask_ratio_and_confidence"])
@pytest.mark.parametrize("name", ["mean", "majority"])
def test_tiles_count_by_mask_ratio_and_confidence(name: Aggregator, weights: str) -> None:
    rng = np.random.default_rng(0)
    tile_slide_N = np.repeat([0, 1, 3], [5, 1, 3])
    probabilities_NC = rng.dirichlet(np.full(3, 0.4), 9).astype(np.float32)
    ratios_N = np.array([0.2, 1.0, 0.5, 0.0, 0.9, 0.0, 0.0, 0.4, 0.6])
    head = HeadConfig.model_validate({"aggregate": name, "tile_weights": weights})
    slides_SC, counts_S = build_aggregator(head, ratios_N)(probabilities_NC, tile_slide_N, 4)
    assert counts_S.tolist() == [5, 1, 0, 3]
    assert np.isnan(slides_SC[2]).all()
    for slide in (0, 1, 3):
        total_C, total = np.zeros(3), 0.0
        for row, ratio in zip(probabilities_NC[tile_slide_N == slide], ratios_N[tile_slide_N == slide], strict=True):
            p = row.astype(np.float64)
            weight = ratio if "mask_ratio" in weights else 1.0
            weight *= 1.0 - entropy(p) / np.log(3) if "confidence" in weights else 1.0
            total_C += weight * (p if name == "mean" else np.eye(3)[p.argmax()])
            total += weight
        if total == 0.0:  # the slide of one tile outside the mask
            p = probabilities_NC[tile_slide_N == slide][0]
            total_C, total = (p if name == "mean" else np.eye(3)[p.argmax()]), 1.0
        np.testing.assert_allclose(slides_SC[slide], total_C / total, rtol=1e-5)
    if "mask_ratio" in weights:
        with pytest.raises(ValueError, match="needs the mask ratios"):
            build_aggregator(head)(probabilities_NC, tile_slide_N, 4)
