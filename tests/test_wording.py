"""Quantities as they are written."""

import pytest

from tilewise.wording import duration


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (99, "99 s"), (100, "2 min"), (1200, "20 min"), (5969, "99 min"), (9000, "2.5 h")]
)
def test_times_are_in_their_largest_unit(seconds, text):
    assert duration(seconds) == text
