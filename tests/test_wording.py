"""Quantities as they are written."""

import pytest

from tilewise.wording import duration, signed


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (99, "99 s"), (100, "2 min"), (1200, "20 min"), (5969, "99 min"), (9000, "2.5 h")]
)
def test_times_are_in_their_largest_unit(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.126, "+0.13"), (-0.126, "\N{MINUS SIGN}0.13"), (-0.004, "0.00"), (0.004, "0.00"), (0, "0.00")],
)
def test_a_difference_that_rounds_to_nothing_has_no_sign(value, text):
    assert signed(value, 2) == text
