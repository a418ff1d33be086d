"""Slides larger than their overview, by a lower limit: the same tiles as of slides that are looked at whole."""

import cv2
import numpy as np
import pytest

from tests.drawn import draw_slide
from tests.slides.pyramids import halved, write_pyramid
from tilewise.auditing.audit_cohort import AuditOptions, audit_cohort
from tilewise.auditing.config import AuditConfig
from tilewise.cohort import Cohort, Slide, read_mask
from tilewise.errors import MaskSizeError
from tilewise.extraction.config import FeaturesConfig
from tilewise.extraction.extract_features import extract_features
from tilewise.slides import open_slide
from tilewise.slides import overview as overview_module
from tilewise.tiles.config import TileConfig
from tilewise.tiles.cut_tiles import cut_tiles, tile_masks
from tilewise.tiles.tile_cohort import tile_cohort

NAMES = ("a", "b", "c")


def drawn(folder, number):
    """A slide of 512 x 384 pixels and its mask, whose edges lie on every fourth pixel."""
    draw_slide(folder / "one.png", number, klass=number % 2, mask=folder / "one_mask.png")
    rgb, mask = (cv2.imread(str(path)) for path in (folder / "one.png", folder / "one_mask.png"))
    for path in (folder / "one.png", folder / "one_mask.png"):
        path.unlink()
    large = cv2.resize(rgb, (512, 384), interpolation=cv2.INTER_CUBIC)
    mask = cv2.resize(mask, (512, 384), interpolation=cv2.INTER_NEAREST)
    return cv2.cvtColor(large, cv2.COLOR_BGR2RGB), mask[:, :, 0]


@pytest.fixture
def cohort(tmp_path):
    """Pyramids with masks drawn on level 0, level 1 and level 2."""
    for index, name in enumerate(NAMES):
        rgb, mask = drawn(tmp_path, index)
        write_pyramid(tmp_path / f"{name}.tif", halved(rgb, times=2), resolution=(40_000,) * 2, resolutionunit=3)
        cv2.imwrite(str(tmp_path / f"{name}_mask.png"), mask[:: 2**index, :: 2**index])
    return Cohort.discover(tmp_path, purpose="predict")


def audited(cohort):
    return audit_cohort(cohort, AuditConfig(), AuditOptions(drop=False, workers=1))


def test_the_audit_sees_level_0_and_measures_an_overview(cohort, tmp_path, monkeypatch):
    whole = audited(cohort)
    monkeypatch.setenv("TILEWISE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(overview_module, "OVERVIEW_PIXELS", 60_000)
    reduced = audited(cohort)
    for large, small in zip(reduced.slides, whole.slides, strict=True):
        assert large.size == small.size == (512, 384)
        assert large.mpp == pytest.approx(0.25)
        assert large.use_mask
        assert any("overview reduced 2 times" in note for note in large.notes)
        facts, others = reduced.facts[large.slide_id], whole.facts[small.slide_id]
        assert facts.tissue_share == pytest.approx(others.tissue_share, abs=0.03)
        assert facts.mask.share == pytest.approx(others.mask.share, abs=0.02)


@pytest.mark.parametrize("strategy", ["window", "component_center", "component_box", "random_views", "grid", "whole"])
def test_tiles_lie_at_level_0_as_on_slides_that_are_looked_at_whole(strategy, cohort, monkeypatch):
    config = TileConfig(size_px=32, strategy=strategy)
    whole, _ = tile_cohort(audited(cohort), config, out=None, workers=1)
    monkeypatch.setattr(overview_module, "OVERVIEW_PIXELS", 60_000)
    reduced, failures = tile_cohort(audited(cohort), config, out=None, workers=1)
    assert not failures
    for name, boxes in reduced.boxes().items():
        others = whole.boxes()[name]
        assert (boxes[:, 0] + boxes[:, 2] <= 512).all()
        assert len(boxes) == pytest.approx(len(others), abs=0.1 * len(others) + 1)
        if strategy in {"component_box", "whole"}:
            assert np.abs(boxes - others).max() <= 4
        if strategy in {"window", "grid"}:
            assert len(set(map(tuple, boxes)) & set(map(tuple, others))) >= 0.9 * len(others) - 1


@pytest.mark.parametrize("mask_filter", ["none", "white"])
def test_tiles_are_encoded_from_level_0(mask_filter, cohort, monkeypatch):
    monkeypatch.setattr(overview_module, "OVERVIEW_PIXELS", 60_000)
    config = TileConfig(size_px=32, mask_filter=mask_filter, min_mask_ratio=0.3)
    slides = audited(cohort)
    tiles, _ = tile_cohort(slides, config, out=None, workers=1)
    item, rows = slides.slides[0], tiles.rows()[slides.slides[0].slide_id]
    with open_slide(item.slide.path) as reader:
        cut = cut_tiles(reader, rows, config, tile_masks(reader, item, rows, config))
        pixels = np.stack([reader.read_region(rows.box(index)) for index in range(len(rows))])
    if mask_filter == "none":
        np.testing.assert_array_equal(cut, pixels)
    else:
        inside = (cut != 255).any(axis=3)
        np.testing.assert_array_equal(cut[inside], pixels[inside])
        assert inside.mean() == pytest.approx(rows.ratios.mean(), abs=0.05)

    class Means:
        signature = {"name": "means"}  # noqa: RUF012

        def encode(self, tiles_NHWC):
            return tiles_NHWC.mean(axis=(1, 2)).astype(np.float32)

    bags, failures = extract_features(slides, tiles, Means(), FeaturesConfig(cache=False), config)
    assert not failures
    np.testing.assert_allclose(bags[item.slide_id].features_ND, cut.mean(axis=(1, 2)), rtol=1e-6)


def test_ink_on_a_large_slide_is_taken_out_of_its_mask_alone(tmp_path, monkeypatch):
    rgb, _ = drawn(tmp_path, 0)
    cv2.circle(rgb, (256, 192), 50, (20, 60, 200), -1)
    write_pyramid(tmp_path / "inked.tif", halved(rgb, times=1))
    monkeypatch.setattr(overview_module, "OVERVIEW_PIXELS", 60_000)
    (item,) = audited(Cohort.discover(tmp_path, purpose="predict")).slides
    assert "ink taken out of its mask alone" in item.repaired
    assert item.slide.path == tmp_path / "inked.tif"
    assert item.use_mask
    mask, _ = read_mask(item.slide, item.size)
    assert mask.any()
    assert not mask[86:106, 118:138].any()


def test_a_mask_of_a_level_is_one_only_where_the_slide_has_levels(cohort, tmp_path):
    slides = {slide.slide_id: slide for slide in cohort.slides}
    for index, name in enumerate(NAMES):
        mask, notes = read_mask(slides[f"{name}.tif"], audited(cohort).slides[0].size)
        assert mask.shape == (384, 512)
        assert any("levels" in note for note in notes) == (index > 0)
    cv2.imwrite(str(tmp_path / "flat.png"), np.zeros((384, 512, 3), np.uint8))
    flat = Slide("flat.png", tmp_path / "flat.png", tmp_path / "b_mask.png")
    with pytest.raises(MaskSizeError, match="256 x 192"):
        read_mask(flat, audited(cohort).slides[0].size)
