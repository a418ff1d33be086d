import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tilewise.tiles.window import window_starts, window_tiles
from tilewise.units import Box

masks = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=60).flatmap(lambda s: hnp.arrays(bool, s))


@given(masks, st.integers(1, 40), st.integers(1, 40), st.floats(0, 1))
def test_tiles_lie_inside_keep_their_promise_and_are_ordered_and_distinct(mask, side, stride, ratio):
    boxes, ratios = window_tiles(mask, side, stride_l0=stride, min_ratio=ratio)
    height, width = mask.shape
    for (x, y, w, h), share in zip(boxes, ratios, strict=True):
        assert 0 <= x <= width - w
        assert 0 <= y <= height - h
        assert (w, h) == (min(side, width), min(side, height))
        assert share == pytest.approx(mask[y : y + h, x : x + w].mean())
        assert share >= ratio
        assert share > 0
    keys = [(y, x) for x, y, _, _ in boxes.tolist()]
    assert keys == sorted(set(keys))


@given(masks, st.integers(1, 40), st.integers(1, 20))
def test_no_window_that_qualifies_is_passed_over(mask, side, stride):
    boxes, _ = window_tiles(mask, side, stride_l0=stride, min_ratio=0.0)
    height, width = mask.shape
    w, h = min(side, width), min(side, height)
    expected = {
        (x, y)
        for x in {*range(0, width - w + 1, stride), width - w}
        for y in {*range(0, height - h + 1, stride), height - h}
        if mask[y : y + h, x : x + w].any()
    }
    assert {(x, y) for x, y, _, _ in boxes.tolist()} == expected


@given(st.integers(1, 200), st.integers(1, 200), st.integers(1, 50))
def test_windows_reach_every_pixel_when_the_stride_is_no_longer_than_the_side(length, side, stride):
    side = min(side, length)
    stride = min(stride, side)
    covered = set()
    for start in window_starts(length, side, stride):
        covered |= set(range(start, start + side))
    assert covered == set(range(length))


def test_x_goes_with_width_on_a_slide_that_is_not_square():
    mask = np.zeros((50, 200), bool)
    mask[10:20, 150:160] = True
    boxes, ratios = window_tiles(mask, 10, stride_l0=10, min_ratio=0.5)
    assert boxes.tolist() == [[150, 10, 10, 10]]
    assert ratios.tolist() == [1.0]


def test_an_empty_mask_yields_nothing_and_one_pixel_one_tile():
    mask = np.zeros((30, 30), bool)
    assert len(window_tiles(mask, 10, stride_l0=10, min_ratio=0.0)[0]) == 0
    mask[29, 29] = True
    assert window_tiles(mask, 10, stride_l0=10, min_ratio=0.0)[0].tolist() == [[20, 20, 10, 10]]


@given(masks, st.integers(1, 20), st.integers(1, 20), st.data())
def test_over_areas_every_pixel_of_the_mask_in_them_is_reached(mask, side, stride, data):
    height, width = mask.shape
    areas = []
    for _ in range(data.draw(st.integers(1, 3))):
        x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
        areas.append(Box(x, y, data.draw(st.integers(1, width - x)), data.draw(st.integers(1, height - y))))
    boxes, ratios = window_tiles(mask, side, stride_l0=min(stride, side), min_ratio=0.0, over=areas)
    covered, expected = np.zeros_like(mask), np.zeros_like(mask)
    for area in areas:
        expected[area.rows, area.columns] = mask[area.rows, area.columns]
    for (x, y, w, h), share in zip(boxes.tolist(), ratios, strict=True):
        assert (w, h) == (min(side, width), min(side, height))
        assert share == pytest.approx(mask[y : y + h, x : x + w].mean())
        assert x >= 0
        assert y >= 0
        covered[y : y + h, x : x + w] = True
    # Windows that hold no mask are left out, so what is not seen is not mask.
    if min(side, width) == side and min(side, height) == side:
        assert covered[expected].all()
    keys = [(y, x) for x, y, _, _ in boxes.tolist()]
    assert keys == sorted(set(keys))
