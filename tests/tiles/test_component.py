import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.measure import label, regionprops

from tilewise.tiles.component import component_box_tiles, component_center_tiles

masks = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=60).flatmap(lambda s: hnp.arrays(bool, s))


@given(masks, st.integers(1, 40), st.floats(0, 1))
def test_tiles_lie_inside_keep_their_promise_and_are_ordered_and_distinct(mask, side, ratio):
    boxes, ratios = component_center_tiles(mask, side, min_component_px=1, min_ratio=ratio)
    height, width = mask.shape
    for (x, y, w, h), share in zip(boxes, ratios, strict=True):
        assert 0 <= x <= width - w
        assert 0 <= y <= height - h
        assert (w, h) == (min(side, width), min(side, height))
        assert share == pytest.approx(mask[y : y + h, x : x + w].mean())
        assert share >= ratio
    keys = [(y, x) for x, y, _, _ in boxes.tolist()]
    assert keys == sorted(set(keys))


@given(masks, st.integers(1, 40))
def test_every_component_is_touched_by_a_tile(mask, side):
    boxes, _ = component_center_tiles(mask, side, min_component_px=1, min_ratio=0.0)
    components = label(mask, connectivity=2)
    labels = set()
    for x, y, w, h in boxes.tolist():
        labels |= set(np.unique(components[y : y + h, x : x + w]).tolist())
    assert set(range(1, components.max() + 1)) <= labels


def test_small_components_are_passed_over():
    mask = np.zeros((100, 200), bool)
    mask[10:20, 10:20] = True
    mask[60:90, 150:190] = True
    boxes, _ = component_center_tiles(mask, 20, min_component_px=200, min_ratio=0.0)
    assert boxes.tolist() == [[160, 65, 20, 20]]


def test_a_curved_component_is_centred_on_tissue_of_its_own():
    rows, columns = np.mgrid[:101, :101]
    radius = np.hypot(rows - 50, columns - 50)
    ring = (radius > 35) & (radius < 45)
    (box,), (share,) = component_center_tiles(ring, 9, min_component_px=1, min_ratio=0.0)
    x, y, w, h = box
    assert ring[y + h // 2, x + w // 2]
    assert share > 0.5


@given(masks, st.integers(2, 12), st.integers(1, 6))
def test_large_components_are_parted_into_as_many_as_fit_their_area(mask, side, most):
    boxes, ratios = component_center_tiles(mask, side, min_component_px=1, min_ratio=0.0, most_centers=most)
    components = label(mask, connectivity=2)
    areas = np.bincount(components.ravel())[1:]
    assert len(boxes) <= sum(min(most, -(-area // side**2)) for area in areas.tolist())
    assert (ratios > 0).all()
    for (x, y, w, h), share in zip(boxes.tolist(), ratios, strict=True):
        assert share == pytest.approx(mask[y : y + h, x : x + w].mean())


def test_the_parts_of_a_long_component_lie_along_it():
    mask = np.zeros((60, 400), bool)
    mask[20:40, 0:400] = True
    boxes, _ = component_center_tiles(mask, 40, min_component_px=1, min_ratio=0.0, most_centers=4)
    centers = boxes[:, 0] + 20
    assert len(boxes) == 4
    assert np.abs(centers - np.array([50, 150, 250, 350])).max() <= 12
    again, _ = component_center_tiles(mask, 40, min_component_px=1, min_ratio=0.0, most_centers=4)
    assert again.tolist() == boxes.tolist()


@given(masks, st.integers(1, 10), st.integers(0, 40), st.sampled_from(["side", "area"]))
def test_component_boxes_are_those_of_skimage(mask, least, smallest, by):
    boxes, ratios = component_box_tiles(mask, min_component_px=least, smallest=smallest, by=by)
    expected = set()
    for region in regionprops(label(mask, connectivity=2)):
        top, left, bottom, right = region.bbox
        w, h = right - left, bottom - top
        if region.area >= least and (w * h if by == "area" else max(w, h)) >= smallest:
            expected.add((left, top, w, h))
    assert len(boxes) == len(expected)
    assert {tuple(box) for box in boxes.tolist()} == expected
    assert (ratios > 0).all()
    assert [(y, x) for x, y, _, _ in boxes.tolist()] == sorted((y, x) for x, y, _, _ in boxes.tolist())
