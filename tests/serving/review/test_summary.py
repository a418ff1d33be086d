"""How often blind readings agree with label and model, and how sure that is."""

import numpy as np
import pytest
from scipy.stats import binomtest

from tilewise.serving.review.summary import _agreement


def test_what_has_no_class_to_agree_with_is_not_counted():
    one = _agreement([True, None, False, None], ["a", "b", "c", "d"])
    assert (one.num_readings, one.num_equal, one.num_groups) == (2, 1, 2)
    assert one.share.value == 0.5
    assert _agreement([None], ["a"]).share.value is None
    assert _agreement([], []).num_readings == 0


def test_where_all_agree_the_interval_is_that_of_clopper_and_pearson():
    share = _agreement([True] * 12, [str(number) for number in range(12)]).share
    exact = binomtest(12, 12).proportion_ci(0.95, method="exact")
    assert (share.value, share.high) == (1.0, 1.0)
    assert share.low == pytest.approx(exact.low)


def test_groups_are_drawn_as_a_whole():
    equal = [True] * 30 + [False] * 30
    single = _agreement(equal, [str(number) for number in range(60)]).share
    whole = _agreement(equal, [str(number // 10) for number in range(60)]).share
    wilson = binomtest(30, 60).proportion_ci(0.95, method="wilson")
    np.testing.assert_allclose((single.low, single.high), (wilson.low, wilson.high), atol=0.015)
    assert whole.high - whole.low > 2 * (single.high - single.low)
