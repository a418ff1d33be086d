import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.measure import label

from tilewise.tiles.component import component_center_tiles

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
    seen = set()
    for x, y, w, h in boxes.tolist():
        seen |= set(np.unique(components[y : y + h, x : x + w]).tolist())
    assert set(range(1, components.max() + 1)) <= seen


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
