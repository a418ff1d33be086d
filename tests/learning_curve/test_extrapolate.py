"""The law that is fitted, and what it promises."""

import numpy as np
import pytest
from scipy.optimize import curve_fit

from tilewise.learning_curve.extrapolate import extrapolate

SIZES = np.array([25.0, 40, 60, 80, 100])
WANTED = np.array([100.0, 150, 200, 400])


def law(size, a, b, c):
    return a - b * size**-c


@pytest.mark.parametrize("exponent", [0.3, 0.5, 1.0])
def test_a_law_is_found_again(exponent):
    scores = np.tile(law(SIZES, 0.8, 1.2, exponent), (3, 1))
    made = extrapolate(SIZES, scores, WANTED, num_units=50, level=0.95)
    truth = np.clip(law(WANTED, 0.8, 1.2, exponent), 0, 1)
    np.testing.assert_allclose([one.value for one in made.scores], truth, atol=1e-9)
    np.testing.assert_allclose([one.value for one in made.gains], truth - truth[0], atol=1e-9)
    assert all(one.high - one.low == pytest.approx(0.0, abs=1e-9) for one in made.gains)


def test_noisy_scores_are_fitted_as_scipy_fits_them():
    rng = np.random.default_rng(3)
    scores = law(SIZES, 0.75, 1.5, 0.6) + rng.normal(0, 0.01, len(SIZES))
    made = extrapolate(SIZES, np.tile(scores, (3, 1)), WANTED, num_units=50, level=0.95)
    bounds = ([-10, 0, 0.2], [10, 100, 1.2])
    best, _ = curve_fit(law, SIZES, scores, p0=(0.7, 1.0, 0.5), bounds=bounds, maxfev=20_000)
    np.testing.assert_allclose([one.value for one in made.scores], law(WANTED, *best), atol=0.004)


def test_scores_that_fall_promise_nothing():
    made = extrapolate(SIZES, np.tile(0.6 - SIZES / 1000, (3, 1)), WANTED, num_units=9, level=0.95)
    assert [one.value for one in made.gains] == [0.0] * 4


def test_the_interval_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    truth, covered, num = law(WANTED, 0.7, 1.0, 0.5), np.zeros(4), 300
    for _ in range(num):
        # Errors of resamples are like that of the sample, and shared by all sizes in part: the same slides are tested.
        error = rng.normal(0, 0.03) + rng.normal(0, 0.005, len(SIZES))
        spread = rng.normal(0, 0.03, (200, 1)) + rng.normal(0, 0.005, (200, len(SIZES)))
        scores = law(SIZES, 0.7, 1.0, 0.5) + error
        made = extrapolate(SIZES, np.vstack([scores, scores + spread]), WANTED, num_units=100, level=0.95)
        covered += [one.low <= value <= one.high for one, value in zip(made.scores, truth, strict=True)]
    assert (covered / num > 0.9).all()
