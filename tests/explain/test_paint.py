"""Tiles painted back at their boxes: the mean where they overlap, nothing elsewhere."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tilewise.explain.paint import paint
from tilewise.units import Size

SIZE = Size(40, 30)


@st.composite
def boxes(draw: st.DrawFn) -> tuple[int, int, int, int]:
    x, y = draw(st.integers(0, SIZE.width - 1)), draw(st.integers(0, SIZE.height - 1))
    return x, y, draw(st.integers(1, SIZE.width - x)), draw(st.integers(1, SIZE.height - y))


@given(st.lists(st.tuples(boxes(), st.floats(0, 1, width=32)), max_size=6), st.sampled_from([1, 2, 5]))
def test_one_value_a_tile_is_averaged_where_tiles_overlap_and_nowhere_else(tiles, shrink):
    # Boxes of the small canvas, scaled up: nothing is rounded.
    canvas, size = SIZE, Size(SIZE.width * shrink, SIZE.height * shrink)
    boxes_T4 = np.array([box for box, _ in tiles], np.int64).reshape(-1, 4)
    values_T = np.array([value for _, value in tiles], np.float32)
    painted = paint(values_T[:, None, None], boxes_T4 * shrink, boxes_T4 * shrink, size=size, canvas=canvas)
    for y in range(canvas.height):
        for x in range(canvas.width):
            over = [v for (left, top, w, h), v in tiles if left <= x < left + w and top <= y < top + h]
            if over:
                assert np.isclose(painted[y, x], np.mean(over), atol=1e-5)
            else:
                assert np.isnan(painted[y, x])


@given(st.lists(boxes(), min_size=1, max_size=4), st.integers(1, 9), st.integers(1, 9))
def test_on_any_canvas_each_tile_leaves_a_mark_within_the_bounds_of_its_values(tile_boxes, width, height):
    rng = np.random.default_rng(0)
    values = rng.random((len(tile_boxes), 3, 4)).astype(np.float32)
    boxes_T4 = np.array(tile_boxes, np.int64)
    painted = paint(values, boxes_T4, boxes_T4, size=SIZE, canvas=Size(width, height))
    assert painted.shape == (height, width)
    there = painted[~np.isnan(painted)]
    assert len(there) >= 1
    assert values.min() - 1e-6 <= there.min() <= there.max() <= values.max() + 1e-6


@given(st.integers(-20, 20), st.integers(-20, 20), st.integers(20, 60))
def test_a_slope_stays_where_it_was_in_the_frame_of_the_slide(x, y, side):
    """A field may reach beyond the slide: what is inside is painted, and at its own place."""
    field = np.array([[x, y, side, side]])
    left, top, right, bottom = max(x, 0), max(y, 0), min(x + side, SIZE.width), min(y + side, SIZE.height)
    if right <= left or bottom <= top:
        return
    box = np.array([[left, top, right - left, bottom - top]])
    cells = 20
    middles = (np.arange(cells) + 0.5) * side / cells
    slope = ((x + middles)[None, :] + 2 * (y + middles)[:, None]).astype(np.float32)[None]
    painted = paint(slope, box, field, size=SIZE, canvas=SIZE)
    expected = (np.arange(SIZE.width) + 0.5)[None, :] + 2 * (np.arange(SIZE.height) + 0.5)[:, None]
    assert np.isnan(painted).sum() == SIZE.area - (right - left) * (bottom - top)
    # Beyond the middle of the outermost cells there is nothing to interpolate with.
    edge = side / cells / 2
    inner = np.zeros(painted.shape, bool)
    inner[top:bottom, left:right] = True
    columns, rows = np.arange(SIZE.width) + 0.5, np.arange(SIZE.height) + 0.5
    inner &= ((columns >= x + edge) & (columns <= x + side - edge))[None, :]
    inner &= ((rows >= y + edge) & (rows <= y + side - edge))[:, None]
    np.testing.assert_allclose(
        painted[inner], expected[inner], atol=0.1 * side / cells
    )  # OpenCV knows 32 steps between cells
