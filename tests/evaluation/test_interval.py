"""Intervals against textbook values, at their edges, and their coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from tilewise.evaluation.config import EvaluationConfig
from tilewise.evaluation.interval import (
    Estimate,
    difference_interval,
    exact_limit,
    score_interval,
    standard_error,
    student_quantile,
)
from tilewise.evaluation.resample import draw_weights
from tilewise.evaluation.results import few_units
from tilewise.evaluation.sample import Sample
from tilewise.evaluation.scores import score


def test_an_estimate_unpacks_is_a_number_and_prints_with_its_interval() -> None:
    estimate = Estimate(0.431, 0.377, 0.482)
    assert (float(estimate), *estimate) == (0.431, 0.431, 0.377, 0.482)
    assert (str(estimate), f"{estimate:.3f}") == ("0.43 (0.38 to 0.48)", "0.431 (0.377 to 0.482)")
    undefined = Estimate(None, None, None)
    assert math.isnan(float(undefined))
    assert f"{undefined:.1%}" == "not defined"


@pytest.mark.parametrize("num_units", [1, 3, 15, 400])
def test_exact_limit_is_clopper_pearsons(num_units: int) -> None:
    expected = scipy.stats.binomtest(num_units, num_units).proportion_ci(0.95, method="exact").low
    assert exact_limit(num_units, 0.95) == pytest.approx(expected)


def test_student_quantile() -> None:
    assert student_quantile(0.9, 8) == pytest.approx(scipy.stats.t.ppf(0.95, 7))


@pytest.mark.parametrize("num_units", [2, 5, 60])
def test_standard_error_of_a_mean(num_units: int) -> None:
    values = np.random.default_rng(3).normal(size=num_units)
    means = draw_weights(num_units, 20_000, np.random.default_rng(0)) @ values / num_units
    assert standard_error(means, num_units) == pytest.approx(scipy.stats.sem(values), rel=0.03)


def test_many_units_give_the_normal_interval() -> None:
    rng = np.random.default_rng(0)
    hits = rng.random(4000) < 0.6
    resampled = rng.binomial(4000, hits.mean(), 5000) / 4000
    interval = score_interval(float(hits.mean()), resampled, num_units=4000, level=0.95, limit=0.9)
    wilson = scipy.stats.binomtest(int(hits.sum()), 4000).proportion_ci(0.95, method="wilson")
    assert interval.low == pytest.approx(wilson.low, abs=5e-4)
    assert interval.high == pytest.approx(wilson.high, abs=5e-4)


@given(
    value=st.floats(0, 1),
    resampled=st.lists(st.one_of(st.floats(0, 1), st.just(math.nan)), min_size=0, max_size=20),
    num_units=st.integers(0, 50),
    level=st.floats(0.51, 0.999),
)
def test_interval_holds_the_value_and_stays_in_range(
    value: float, resampled: list[float], num_units: int, level: float
) -> None:
    interval = score_interval(
        value, np.array(resampled), num_units=num_units, level=level, limit=exact_limit(num_units, level)
    )
    assert interval.low is not None
    assert interval.high is not None
    assert 0.0 <= interval.low <= value <= interval.high <= 1.0
    moved = difference_interval(value - 0.5, np.array(resampled), num_units=num_units, level=level)
    assert moved.low is not None
    assert moved.high is not None
    assert -1.0 <= moved.low <= value - 0.5 <= moved.high <= 1.0


@pytest.mark.parametrize("value", [0.7, 0.99])
def test_a_long_interval_grows_as_a_score_interval_does(value: float) -> None:
    """On the logit scale Wilson's has the half-length 2 asinh(r / 2), which is 2 ln r where r is long."""
    centre = math.log(value / (1 - value))
    halves = []
    for reach in (1.9, 2.0, 8.0, 80.0):
        spread = reach * value * (1 - value) / scipy.stats.norm.ppf(0.975)
        resampled = value + spread * np.array([-1.0, 1.0]) / math.sqrt(2)
        low = score_interval(value, resampled, num_units=10**9, level=0.95, limit=0.5).low
        assert low is not None
        halves.append(centre - math.log(low / (1 - low)))
    assert halves[:2] == pytest.approx([1.9, 2.0], rel=1e-6)
    assert halves[3] - halves[2] == pytest.approx(2 * math.log(10), rel=1e-6)
    assert halves[3] - halves[2] == pytest.approx(2 * (math.asinh(40.0) - math.asinh(4.0)), rel=0.01)


def test_undefined_score_has_no_interval() -> None:
    nothing = Estimate(None, None, None)
    assert score_interval(math.nan, np.zeros(3), num_units=9, level=0.95, limit=0.5) == nothing
    assert difference_interval(math.nan, np.zeros(3), num_units=9, level=0.95) == nothing


@pytest.mark.parametrize("value", [0.0, 0.7, 1.0])
def test_one_unit_tells_nothing(value: float) -> None:
    interval = score_interval(value, np.full(100, value), num_units=1, level=0.95, limit=exact_limit(1, 0.95))
    assert (interval.low, interval.high) == (0.0, 1.0)


def test_fewer_units_and_higher_levels_widen() -> None:
    resampled = np.random.default_rng(0).normal(0.6, 0.05, 500)

    def width(num_units: int, level: float) -> float:
        interval = score_interval(0.6, resampled, num_units=num_units, level=level, limit=0.1)
        return float(interval.high or 0) - float(interval.low or 0)

    assert width(4, 0.95) > width(10, 0.95) > width(500, 0.95) > width(500, 0.8)


@pytest.mark.parametrize(("num_groups", "per_group", "spread"), [(24, 1, 0.0), (5, 8, 1.5)])
def test_coverage(num_groups: int, per_group: int, spread: float) -> None:
    """Small cohorts of a known population: intervals hold the true accuracy about as often as they say."""
    rng = np.random.default_rng(7)
    num_slides = num_groups * per_group
    group = np.repeat(np.arange(num_groups), per_group)
    config = EvaluationConfig(num_resamples=200)

    def rates(num: int) -> np.ndarray:
        return 1 / (1 + np.exp(-(1.0 + rng.normal(0, 1, num) * spread)))

    true_accuracy = rates(200_000).mean()
    num_covered = 0
    for repetition in range(150):
        hit = rng.random(num_slides) < rates(num_groups)[group]
        truth = rng.integers(0, 2, num_slides)
        predicted = np.where(hit, truth, 1 - truth)
        probabilities = np.stack([1.0 - predicted, predicted], 1).astype(float)
        names = tuple(map(str, range(num_slides)))
        sample = Sample(names, ("a", "b"), truth, predicted, probabilities, np.zeros(num_slides, int), group)
        interval = score(sample, config, seed=(repetition,)).accuracy
        num_covered += interval.low <= true_accuracy <= interval.high
    assert 0.90 <= num_covered / 150 <= 0.995


def test_an_estimate_without_an_interval_prints_its_value() -> None:
    assert f"{Estimate(0.5987, None, None):.3f}" == "0.599 (no interval)"


def test_intervals_of_fewer_than_eight_groups_are_not_called_wide() -> None:
    assert few_units(5, "group").startswith("Only 5 groups: ")
    assert "far too short" in few_units(7, "group")
    assert "beside being wide" in few_units(8, "group")
    assert not few_units(30, "group")
