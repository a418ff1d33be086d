"""Gains over inner folds, against scipy and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tilewise.ladder.gain import gain_of

scores = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=12)


@given(scores, st.integers(2, 10))
def test_interval_is_students_with_the_variance_of_nadeau_and_bengio(pairs, num_folds):
    a, b = zip(*pairs, strict=True)
    gain = gain_of(a, b, num_folds=num_folds, level=0.9)
    differences = np.subtract(a, b)
    test_per_train = (1 / num_folds) / (1 - 1 / num_folds)
    error = np.sqrt(differences.var(ddof=1) * (1 / len(pairs) + test_per_train))
    low, high = differences.mean() + np.array([-1, 1]) * stats.t.ppf(0.95, len(pairs) - 1) * error
    assert gain.standard_error == pytest.approx(error)
    assert list(gain.estimate) == pytest.approx([differences.mean(), max(low, -1), min(high, 1)], abs=1e-12)
    assert gain.exceeds(1.0) == (differences.mean() > gain.standard_error)


def test_folds_without_a_score_are_left_out():
    with_gap = gain_of([0.5, None, 0.9, 0.7], [0.4, 0.1, None, 0.5], num_folds=4, level=0.95)
    assert with_gap == gain_of([0.5, 0.7], [0.4, 0.5], num_folds=4, level=0.95)


def test_nothing_is_climbed_where_the_spread_is_not_known():
    one = gain_of([0.9, None], [0.1, 0.2], num_folds=2, level=0.95)
    assert one.estimate.value == pytest.approx(0.8)
    assert not one.exceeds(0.0)
    assert not gain_of([None], [0.2], num_folds=2, level=0.95).exceeds(0.0)


def test_an_equal_rung_is_not_climbed_whatever_it_has_to_exceed():
    assert not gain_of([0.5] * 5, [0.5] * 5, num_folds=5, level=0.95).exceeds(0.0)
