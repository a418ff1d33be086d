from pathlib import Path

import cv2
import numpy as np
import pytest

from tilewise.auditing.cohort import AuditedSlide
from tilewise.cohort import Slide
from tilewise.errors import MaskError, SlideUnreadable
from tilewise.tiles.config import TileConfig
from tilewise.tiles.plan import plan_tiles
from tilewise.tiles.strategies import TileRequest
from tilewise.units import Size

TISSUE = slice(40, 120), slice(60, 180)


@pytest.fixture
def plan(tmp_path: Path):
    """Plan a slide of 160 x 240 with tissue in TISSUE and the given mask (None: no mask)."""

    def call(mask, *, tissue=True, **options):
        pixels = np.full((160, 240, 3), 240, np.uint8)
        if tissue:
            pixels[TISSUE] = (180, 90, 160)
        cv2.imwrite(str(tmp_path / "slide.png"), pixels)
        mask_path = None
        if mask is not None:
            mask_path = tmp_path / "mask.png"
            cv2.imwrite(str(mask_path), mask.astype(np.uint8) * 255)
        slide = Slide("slide.png", tmp_path / "slide.png", mask_path)
        use = mask is not None and bool(mask.any())
        audited = AuditedSlide(
            slide, Size(240, 160), None, "g", use, "content", "pixels", (), "" if use else "it has no mask"
        )
        return plan_tiles(TileRequest(audited, TileConfig(size_px=20, **options)))

    return call


def marked(rows, columns):
    mask = np.zeros((160, 240), bool)
    mask[rows, columns] = True
    return mask


def covered(boxes):
    region = np.zeros((160, 240), bool)
    for x, y, w, h in boxes:
        region[y : y + h, x : x + w] = True
    return region


def test_a_mask_that_yields_tiles_is_used_and_nothing_is_said(plan):
    mask = marked(slice(0, 40), slice(0, 60))
    tile_plan = plan(mask)
    assert (set(tile_plan.rows.region), tile_plan.reason) == ({"mask"}, "")
    assert np.array_equal(covered(tile_plan.rows.boxes), mask)
    assert tile_plan.rows.ratios.tolist() == [1.0] * 6


def test_without_a_mask_tissue_stands_in_and_the_reason_is_told(plan):
    tile_plan = plan(None)
    assert set(tile_plan.rows.region) == {"tissue"}
    assert "no mask" in tile_plan.reason
    tissue = marked(*TISSUE)
    assert tissue[covered(tile_plan.rows.boxes)].mean() > 0.8
    assert covered(tile_plan.rows.boxes)[tissue].mean() > 0.9


def test_a_mask_too_small_for_any_tile_falls_back_and_its_share_is_told(plan):
    tile_plan = plan(marked(slice(0, 1), slice(0, 3)))
    assert set(tile_plan.rows.region) == {"tissue"}
    assert "0.01%" in tile_plan.reason


def test_before_tissue_come_the_windows_with_most_of_a_small_mask(plan):
    mask = marked(slice(22, 26), slice(24, 30)) | marked(slice(64, 65), slice(0, 60))
    tile_plan = plan(mask, min_mask_ratio=0.25)
    assert tile_plan.rows.boxes.tolist() == [[20, 20, 20, 20], [0, 60, 20, 20], [20, 60, 20, 20], [40, 60, 20, 20]]
    assert (set(tile_plan.rows.region), tile_plan.reason) == ({"mask"}, "")
    assert "covers 0.06 of a tile at most" in tile_plan.small_mask
    assert not len(plan(mask, min_mask_ratio=0.25, fallback="exclude").rows)
    assert plan(mask, min_mask_ratio=0.06).small_mask == ""


def test_without_mask_and_tissue_the_whole_slide_is_cut(plan):
    tile_plan = plan(None, tissue=False)
    assert set(tile_plan.rows.region) == {"slide"}
    assert covered(tile_plan.rows.boxes).all()
    assert "tissue" in tile_plan.reason


def test_the_fallback_slide_does_not_look_for_tissue(plan):
    tile_plan = plan(None, fallback="slide")
    assert set(tile_plan.rows.region) == {"slide"}
    assert covered(tile_plan.rows.boxes).all()


def test_the_fallback_exclude_leaves_the_slide_without_tiles_and_says_why(plan):
    tile_plan = plan(None, fallback="exclude")
    assert tile_plan.rows.boxes.shape == (0, 4)
    assert tile_plan.reason


def test_component_tiles_of_a_mask_are_centred_on_its_parts(plan):
    mask = marked(slice(10, 30), slice(10, 30)) | marked(slice(100, 130), slice(200, 230))
    tile_plan = plan(mask, strategy="component_center")
    assert tile_plan.rows.boxes.tolist() == [[10, 10, 20, 20], [205, 105, 20, 20]]


BOXES = {"strategy": "component_box", "component_box_min": 60, "min_component_px": 4}
TWO_REGIONS = marked(slice(10, 20), slice(10, 60)) | marked(slice(100, 130), slice(200, 230))


@pytest.mark.parametrize(
    ("options", "box", "message"),
    [
        ({}, [10, 10, 50, 10], "no box of its mask has 60 px of length"),
        ({"component_box_min": 2000, "component_box_min_by": "area"}, [200, 100, 30, 30], "2000 px of area"),
    ],
)
def test_before_tissue_comes_the_masks_own_largest_box(plan, options, box, message):
    tile_plan = plan(TWO_REGIONS, **BOXES | options)
    assert (tile_plan.rows.boxes.tolist(), set(tile_plan.rows.region), tile_plan.reason) == ([box], {"mask"}, "")
    assert message in tile_plan.small_mask
    assert f"{box[2]} x {box[3]} px" in tile_plan.small_mask


def test_the_largest_box_is_taken_only_where_none_reaches_the_least_and_tissue_is_asked_for(plan):
    large = plan(TWO_REGIONS, **BOXES | {"component_box_min": 50})
    assert (large.rows.boxes.tolist(), large.small_mask) == ([[10, 10, 50, 10]], "")
    assert not len(plan(TWO_REGIONS, **BOXES, fallback="exclude").rows)
    assert set(plan(TWO_REGIONS, **BOXES, fallback="slide").rows.region) == {"slide"}
    # Specks are no region, so that tissue takes their place.
    assert set(plan(TWO_REGIONS, **BOXES | {"min_component_px": 5000}).rows.region) == {"tissue"}


@pytest.mark.parametrize("most", [1, 2, 5, 17, 95, 96, 500])
def test_at_most_so_many_tiles_spread_evenly_over_the_slide(plan, most):
    every = plan(np.ones((160, 240), bool)).rows.boxes.tolist()
    chosen = plan(np.ones((160, 240), bool), max_tiles=most).rows.boxes.tolist()
    assert len(chosen) == min(most, len(every)) == len(set(map(tuple, chosen)))
    places = np.array([every.index(box) for box in chosen])
    edges = np.arange(len(chosen) + 1) * len(every) / len(chosen)
    assert ((edges[:-1] - 1 < places) & (places < edges[1:])).all(), "one tile of each equal stretch"
    assert abs(places.mean() - (len(every) - 1) / 2) <= 1


def test_ratios_go_with_their_boxes_where_tiles_are_limited(plan):
    generator = np.random.default_rng(0)
    mask = cv2.resize(generator.integers(0, 2, (8, 12), np.uint8), (240, 160), interpolation=cv2.INTER_NEAREST) > 0
    tile_plan = plan(mask, stride_px=10, max_tiles=9)
    for (x, y, w, h), ratio in zip(tile_plan.rows.boxes.tolist(), tile_plan.rows.ratios, strict=True):
        assert ratio == pytest.approx(mask[y : y + h, x : x + w].mean())


def test_files_that_are_gone_are_named(plan, tmp_path):
    plan(marked(slice(0, 40), slice(0, 60)))
    slide = Slide("slide.png", tmp_path / "slide.png", tmp_path / "none.png")
    request = TileRequest(AuditedSlide(slide, Size(240, 160), None, "g", True, "c", "p", ()), TileConfig(size_px=20))
    with pytest.raises(MaskError, match=r"slide\.png"):
        plan_tiles(request)
    gone = Slide("gone.png", tmp_path / "gone.png", None)
    request = TileRequest(AuditedSlide(gone, Size(240, 160), None, "g", False, "c", "p", ()), TileConfig(size_px=20))
    with pytest.raises(SlideUnreadable, match=r"gone\.png"):
        plan_tiles(request)
