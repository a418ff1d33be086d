"""Squares, mirrors and soft edges, against what they are by definition."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tilewise.training.synthesis.geometry import largest_square, mirrored, soft_edge

shapes = st.tuples(st.integers(1, 14), st.integers(1, 14))
regions = arrays(np.bool_, shapes, elements=st.sampled_from([True, True, True, False]))


def squares(mask_HW: np.ndarray, side: int) -> list[tuple[int, int]]:
    height, width = mask_HW.shape
    places = [(x, y) for y in range(height - side + 1) for x in range(width - side + 1)]
    return [(x, y) for x, y in places if mask_HW[y : y + side, x : x + side].all()]


@settings(deadline=None)
@given(mask_HW=regions)
def test_the_square_is_inside_and_no_larger_one_is(mask_HW: np.ndarray) -> None:
    x, y, side = largest_square(mask_HW)
    if not mask_HW.any():
        assert side == 0
        return
    assert side % 2 == 1
    assert (x, y) == squares(mask_HW, side)[0]
    assert not squares(mask_HW, side + 2)


@settings(deadline=None)
@given(
    side=st.integers(1, 6),
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    start=st.tuples(st.integers(0, 12), st.integers(0, 12)),
)
def test_mirrors_are_what_padding_by_mirrors_gives(side: int, height: int, width: int, start: tuple[int, int]) -> None:
    square = np.arange(3 * side * side, dtype=np.uint8).reshape(3, side, side)
    padded = mirrored(square, height, width, start)
    rows, columns = start[1] + height, start[0] + width
    field = np.pad(square, ((0, 0), (0, max(0, rows - side)), (0, max(0, columns - side))), mode="symmetric")
    np.testing.assert_array_equal(padded, field[:, start[1] : rows, start[0] : columns])


@settings(deadline=None)
@given(mask_HW=regions, width_px=st.floats(0.0, 6.0))
def test_the_edge_rises_with_the_distance_to_what_is_outside(mask_HW: np.ndarray, width_px: float) -> None:
    shows = soft_edge(mask_HW, width_px)
    assert shows.dtype == np.float32
    outside = np.argwhere(~mask_HW)
    for place in np.ndindex(mask_HW.shape):
        if len(outside):
            distance = np.sqrt(((outside - place) ** 2).sum(axis=1).min())
            np.testing.assert_allclose(shows[place], min(1.0, distance / (width_px + 1.0)), atol=1e-4)
        else:
            assert shows[place] == 1.0
