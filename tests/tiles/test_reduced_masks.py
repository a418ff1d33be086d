"""Masks of large slides, which are kept reduced: tiles lie where they lie by the mask enlarged to level 0."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tilewise.tiles.component import component_box_tiles, component_center_tiles
from tilewise.tiles.views import random_view_tiles
from tilewise.tiles.window import Frame, covered_by, covered_table, window_tiles
from tilewise.units import Box, Size


@st.composite
def reduced(draw):
    factor = draw(st.sampled_from([2, 4, 8]))
    width, height = draw(st.integers(20, 90)), draw(st.integers(20, 90))
    shape = (-(-height // factor), -(-width // factor))
    mask = np.random.default_rng(draw(st.integers(0, 2**32 - 1))).random(shape) < draw(st.floats(0.1, 0.9))
    return mask, Frame(Size(width, height), factor)


def enlarged(mask, frame):
    whole = np.kron(mask, np.ones((frame.factor, frame.factor), bool)).astype(bool)
    return whole[: frame.size.height, : frame.size.width]


@given(reduced(), st.integers(5, 40), st.integers(3, 40), st.floats(0.05, 1))
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_windows_are_those_of_the_enlarged_mask(case, side, stride, ratio):
    mask, frame = case
    boxes, ratios = window_tiles(mask, side, stride_l0=stride, min_ratio=ratio, frame=frame)
    expected_boxes, expected_ratios = window_tiles(enlarged(mask, frame), side, stride_l0=stride, min_ratio=ratio)
    np.testing.assert_array_equal(boxes, expected_boxes)
    np.testing.assert_array_equal(ratios, expected_ratios)


@given(reduced(), st.data())
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_a_box_covers_what_it_covers_of_the_enlarged_mask(case, data):
    mask, frame = case
    x, y = data.draw(st.integers(0, frame.size.width - 1)), data.draw(st.integers(0, frame.size.height - 1))
    width = data.draw(st.integers(1, frame.size.width - x))
    box = Box(x, y, width, data.draw(st.integers(1, frame.size.height - y)))
    part = enlarged(mask, frame)[box.rows, box.columns]
    np.testing.assert_array_equal(frame.cut(mask, box), part)
    boxes = np.array([[box.x, box.y, box.width, box.height]])
    assert covered_by(covered_table(mask), boxes, frame)[0] == part.sum() / part.size


@given(reduced(), st.integers(1, 60))
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_components_are_those_of_the_enlarged_mask(case, least):
    mask, frame = case
    whole = enlarged(mask, frame)
    inside = frame.size.width % frame.factor == 0 == frame.size.height % frame.factor
    boxes, ratios = component_box_tiles(mask, min_component_px=1, smallest=least, by="side", frame=frame)
    expected, shares = component_box_tiles(whole, min_component_px=1, smallest=least, by="side")
    np.testing.assert_array_equal(boxes, expected)
    np.testing.assert_array_equal(ratios, shares)
    if inside:  # a component that reaches beyond the slide has its centre elsewhere
        centers, _ = component_center_tiles(mask, 8, min_component_px=1, min_ratio=0.0, frame=frame)
        others, _ = component_center_tiles(whole, 8, min_component_px=1, min_ratio=0.0)
        assert len(centers)
        assert abs(len(centers) - len(others)) <= len(others)


def test_views_lie_around_any_pixel_of_the_mask_and_on_the_slide():
    mask, frame = np.zeros((10, 12), bool), Frame(Size(45, 38), 4)
    mask[2, 3] = mask[9, 11] = True
    boxes, ratios = random_view_tiles(mask, 5, num=40, min_ratio=0.05, generator=np.random.default_rng(0), frame=frame)
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 0] + boxes[:, 2] <= 45).all()
    assert (boxes[:, 1] + boxes[:, 3] <= 38).all()
    assert len(np.unique(boxes[:, 0] % 4)) == 4
    whole = enlarged(mask, frame)
    for (x, y, width, height), ratio in zip(boxes.tolist(), ratios.tolist(), strict=True):
        assert ratio == pytest.approx(whole[y : y + height, x : x + width].mean())
