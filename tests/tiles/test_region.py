import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from tilewise.tiles.region import prepared

masks = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=30).flatmap(lambda s: hnp.arrays(bool, s))


def disc(radius):
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return x**2 + y**2 <= radius**2


@given(masks, st.integers(1, 5))
def test_dilation_is_that_by_a_disc(mask, radius):
    assert np.array_equal(
        prepared(mask, closing=0, dilation=radius), ndimage.binary_dilation(mask, structure=disc(radius))
    )


@given(masks, st.integers(1, 5))
def test_closing_is_that_by_a_disc_and_takes_nothing_away(mask, radius):
    padded = np.pad(mask, 2 * radius)
    expected = ndimage.binary_closing(padded, structure=disc(radius))
    expected = expected[2 * radius : -2 * radius, 2 * radius : -2 * radius]
    closed = prepared(mask, closing=radius, dilation=0)
    assert np.array_equal(closed, expected)
    assert closed[mask].all()


def test_a_mask_that_is_not_to_be_changed_stays_itself():
    mask = np.eye(5, dtype=bool)
    assert prepared(mask, closing=0, dilation=0) is mask
