"""A short version of `benchmarks/honesty.py`: intervals hold what they are about, and noise is not accused."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from benchmarks.honesty import METRICS, WEAK, Setting, class_auroc_coverage, noise_p_values, recipe_coverage

# Where the benchmark has to be, and how far so few cohorts may be from it by chance, in one of a thousand tests.
COVERAGE, REJECTED = (0.935, 0.965), (0.035, 0.065)
CHANCE = 0.001


def bounds(shares: tuple[float, float], num_cohorts: int) -> tuple[float, float]:
    low = scipy.stats.binom.ppf(CHANCE, num_cohorts, shares[0])
    high = scipy.stats.binom.isf(CHANCE, num_cohorts, shares[1])
    return low / num_cohorts, high / num_cohorts


@pytest.mark.parametrize(("num_slides", "num_cohorts"), [(30, 120), (160, 60)])
def test_intervals_hold_what_the_recipe_reaches(num_slides: int, num_cohorts: int) -> None:
    coverage = recipe_coverage(WEAK, num_slides, num_cohorts, num_designs=12)
    low, high = bounds(COVERAGE, num_cohorts)
    recipe, _, about_models = coverage.covered
    assert ((low <= recipe) & (recipe <= high)).all(), dict(zip(METRICS, recipe, strict=True))
    # The same intervals without the part of training are about the models at hand, and too short for the recipe.
    assert about_models.mean() < recipe.mean()
    assert (np.abs(coverage.estimates - coverage.reached[0]) < 0.08).all()


@pytest.mark.parametrize("strength", [0.9, 2.3])
def test_intervals_of_a_class_auroc_of_few_groups_hold_it_and_are_no_longer_than_they_must(strength: float) -> None:
    setting = Setting("three classes", strength, (0.5, 0.3, 0.2), 16, (1, 1, 1, 2), seed=5)
    _, covered, width, too_long = class_auroc_coverage(setting, 38, 60, num_designs=12)
    assert covered >= bounds(COVERAGE, 60)[0]
    assert width < 0.62
    assert too_long < 0.06


@pytest.mark.parametrize("metric", ["macro_f1", "auroc_macro"])
@pytest.mark.parametrize("cross_validated", [True, False])
def test_noise_is_accused_in_one_of_twenty(metric: str, cross_validated: bool) -> None:
    values = noise_p_values(60, 120, metric, cross_validated=cross_validated, num_designs=16)
    low, high = bounds(REJECTED, 120)
    assert low <= (values <= 0.05).mean() <= high
