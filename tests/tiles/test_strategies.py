"""What holds for every strategy, whatever the mask, the size and the options."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tilewise.auditing.cohort import AuditedSlide
from tilewise.cohort import Slide
from tilewise.slides import FlatReader
from tilewise.tiles import region as region_module
from tilewise.tiles.config import TileConfig
from tilewise.tiles.cut_tiles import cut_mask_tiles, cut_tiles
from tilewise.tiles.plan import plan_tiles
from tilewise.tiles.strategies import TileRequest
from tilewise.units import Size

MASKS = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=70).flatmap(lambda s: hnp.arrays(bool, s))
STRATEGIES = ("window", "component_center", "component_box", "random_views", "grid", "whole")
OWN = {
    "window": st.fixed_dictionaries(
        {"window_over": st.sampled_from(["slide", "mask_box", "component_boxes"]), "overlap": st.floats(0, 0.9)}
    ),
    "component_center": st.fixed_dictionaries({"component_center_most": st.integers(1, 5)}),
    "component_box": st.fixed_dictionaries(
        {"component_box_min": st.integers(0, 30), "component_box_min_by": st.sampled_from(["side", "area"])}
    ),
    "random_views": st.fixed_dictionaries(
        {"random_views_num": st.integers(1, 12), "random_views_seed": st.integers(0, 3)}
    ),
    "grid": st.fixed_dictionaries({"grid_min_tissue_ratio": st.floats(0, 1)}),
    "whole": st.just({}),
}
SHARED = st.fixed_dictionaries(
    {
        "size_px": st.integers(16, 40),
        "min_mask_ratio": st.floats(0, 1),
        "min_component_px": st.integers(1, 20),
        "fit": st.sampled_from(["stretch", "pad", "reflect"]),
        "mask_closing_px": st.integers(0, 4),
        "mask_dilation_px": st.integers(0, 4),
        "mask_filter": st.sampled_from(["none", "black", "white", "background"]),
        "fallback": st.sampled_from(["tissue", "slide", "exclude"]),
        "max_tiles": st.none() | st.integers(3, 20),
    }
)


def planned(mask, config, monkeypatch, *, mpp=None):
    """Plan a slide whose mask is in memory; its pixels are glass, dark where the mask is."""
    height, width = mask.shape
    pixels = np.random.default_rng(0).integers(236, 243, (height, width, 3), np.uint8)
    pixels[mask] //= 2
    monkeypatch.setattr(region_module, "read_mask", lambda slide, size: (mask, ()))
    reader = FlatReader("slide.png", pixels, mpp=mpp)
    use = bool(mask.any())
    slide = AuditedSlide(
        Slide("slide.png", "slide.png", "mask.png"),
        Size(width, height),
        mpp,
        "g",
        use,
        "c",
        "p",
        (),
        "" if use else "empty",
    )
    return plan_tiles(TileRequest(slide, config), reader=reader), reader


@pytest.mark.parametrize("strategy", STRATEGIES)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), mask=MASKS, shared=SHARED, scales=st.sampled_from([(1.0,), (1.0, 2.0), (1.0, 0.5, 3.0)]))
def test_every_strategy_keeps_its_promises(strategy, data, mask, shared, scales, monkeypatch):
    scales = (1.0,) if strategy == "whole" else scales
    config = TileConfig(strategy=strategy, field_scales=scales, **shared, **data.draw(OWN[strategy]))
    plan, reader = planned(mask, config, monkeypatch)
    rows, (height, width) = plan.rows, mask.shape
    again, _ = planned(mask, config, monkeypatch)
    assert np.array_equal(rows.boxes, again.rows.boxes), "the order is the same each time"
    if not len(rows):
        assert plan.reason
    if config.max_tiles is not None:
        assert len(rows) <= config.max_tiles
    x, y, w, h = rows.boxes.T
    assert (x >= 0).all()
    assert (y >= 0).all()
    assert (w > 0).all()
    assert (h > 0).all()
    assert (x + w <= width).all()
    assert (y + h <= height).all()
    fx, fy, fw, fh = rows.fields.T
    assert (fx <= x).all()
    assert (fy <= y).all()
    assert (x + w <= fx + fw).all()
    assert (y + h <= fy + fh).all()
    assert ((rows.padding != "") == (rows.boxes != rows.fields).any(axis=1)).all()
    first = rows[rows.scale == 0]
    assert len({tuple(box) for box in first.boxes.tolist()}) == len(first), "no tile twice"
    assert rows.scale.tolist() == list(range(len(scales))) * rows.num_places
    assert rows.place.tolist() == np.repeat(np.arange(rows.num_places), len(scales)).tolist()
    regions = region_module.SlideRegions(_slide_of(mask), config, reader=reader)
    for index in range(len(rows)):
        box = rows.box(index)
        assert rows.ratios[index] == pytest.approx(regions[rows.region[index]][box.rows, box.columns].mean())
    if strategy in {"window", "component_center", "random_views"}:
        least = first.ratios.max(initial=0.0) / 2 if plan.small_mask else config.min_mask_ratio
        assert (first.ratios >= least).all()
        assert (first.ratios > 0).all()
    if strategy == "grid":
        assert (first.ratios >= config.grid_min_tissue_ratio).all()
    masks = {name: regions[name] for name in set(rows.region.tolist()) if name != "slide"}
    tiles = cut_tiles(reader, rows, config, masks)
    assert tiles.shape == (len(rows), config.size_px, config.size_px, 3)
    assert cut_mask_tiles(rows, config, masks).shape == tiles.shape[:3]


def _slide_of(mask):
    return AuditedSlide(
        Slide("slide.png", "slide.png", "mask.png"), Size(mask.shape[1], mask.shape[0]), None, "g", True, "c", "p", ()
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_x_goes_with_width_on_a_slide_that_is_not_square(strategy, monkeypatch):
    mask = np.zeros((80, 300), bool)
    mask[20:50, 240:280] = True
    own = {"component_box": {"component_box_min": 0}}.get(strategy, {})
    config = TileConfig(strategy=strategy, size_px=16, min_mask_ratio=0.5, fallback="exclude", **own)
    plan, _ = planned(mask, config, monkeypatch)
    boxes = plan.rows.boxes
    if strategy == "whole":
        assert boxes.tolist() == [[0, 0, 300, 80]]
    elif strategy == "component_box":
        assert boxes.tolist() == [[240, 20, 40, 30]]
    else:
        assert len(boxes)
        assert (boxes[:, 0] >= 224).all()
        assert (boxes[:, 0] + boxes[:, 2] <= 296).all()
        assert (boxes[:, 1] + boxes[:, 3] <= 66).all()


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("place", [(0, 0), (39, 99), (20, 50)])
def test_a_mask_of_one_pixel(strategy, place, monkeypatch):
    mask = np.zeros((40, 100), bool)
    mask[place] = True
    own = {"component_box": {"component_box_min": 0}}.get(strategy, {})
    config = TileConfig(
        strategy=strategy, size_px=16, min_mask_ratio=0.0, min_component_px=1, fallback="exclude", **own
    )
    plan, reader = planned(mask, config, monkeypatch)
    if strategy == "grid":
        assert set(plan.rows.region.tolist()) <= {"tissue"}
        return
    (box,) = plan.rows.boxes.tolist()
    assert box[0] <= place[1] < box[0] + box[2]
    assert box[1] <= place[0] < box[1] + box[3]
    assert cut_tiles(reader, plan.rows, config).shape == (1, 16, 16, 3)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_empty_mask_is_told(strategy, monkeypatch):
    plan, _ = planned(np.zeros((40, 100), bool), TileConfig(strategy=strategy, fallback="exclude"), monkeypatch)
    if strategy == "whole":
        assert len(plan.rows) == 1
    else:
        assert not len(plan.rows)
        assert plan.reason


def test_strategies_are_joined_in_their_order_without_the_same_place_twice(monkeypatch):
    mask = np.zeros((64, 96), bool)
    mask[16:32, 32:48] = True
    mask[40:60, 60:90] = True
    config = TileConfig(strategy=["component_center", "window"], size_px=16, min_mask_ratio=0.2)
    rows = planned(mask, config, monkeypatch)[0].rows
    alone = [
        planned(mask, TileConfig(strategy=one, size_px=16, min_mask_ratio=0.2), monkeypatch)[0].rows
        for one in config.strategy
    ]
    expected = list(dict.fromkeys(map(tuple, [*alone[0].boxes.tolist(), *alone[1].boxes.tolist()])))
    assert [tuple(box) for box in rows.boxes.tolist()] == expected
    assert len(expected) < len(alone[0]) + len(alone[1])
    assert rows.strategy.tolist() == sorted(rows.strategy.tolist())


def test_a_mask_that_one_strategy_can_use_is_used_by_all(monkeypatch):
    mask = np.zeros((64, 96), bool)
    mask[20:26, 30:36] = True
    config = TileConfig(
        strategy=["component_center", "component_box"], size_px=16, min_mask_ratio=0.05, min_component_px=1
    )
    plan, _ = planned(mask, config, monkeypatch)
    assert (set(plan.rows.region.tolist()), plan.reason) == ({"mask"}, "")
    assert plan.rows.strategy.tolist() == ["component_center"]


def test_a_slide_of_unknown_scale_is_named_where_microns_are_asked_for(monkeypatch):
    mask = np.ones((64, 96), bool)
    plan, _ = planned(mask, TileConfig(size_um=10.0, size_px=16), monkeypatch)
    assert not len(plan.rows)
    assert "does not know its scale" in plan.reason
    assert "assumed_mpp" in plan.reason
    known, reader = planned(mask, TileConfig(size_um=16.0, size_px=16), monkeypatch, mpp=0.5)
    assert set(map(tuple, known.rows.boxes[:, 2:].tolist())) == {(32, 32)}
    assert cut_tiles(reader, known.rows, TileConfig(size_um=16.0, size_px=16)).shape[1:] == (16, 16, 3)
    assert known.rows.boxes.tolist() == planned(mask, TileConfig(size_px=32), monkeypatch)[0].rows.boxes.tolist()


def test_memory_grows_with_the_slide_and_not_with_overlap(monkeypatch):
    import tracemalloc

    mask = np.ones((600, 800), bool)
    config = TileConfig(size_px=64, stride_px=8, max_tiles=50)
    planned(mask, config, monkeypatch)
    tracemalloc.start()
    planned(mask, config, monkeypatch)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A slide of 0.48 megapixels as RGB, its mask, a summed-area table, and 6000 windows.
    assert peak < 30 * mask.size
