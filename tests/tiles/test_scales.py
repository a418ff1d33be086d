"""The scale that tiles are read at: by microns or magnification, of slides whose file or table says theirs."""

import cv2
import numpy as np
import pytest

from tests.drawn import draw_slide
from tests.slides.pyramids import halved, write_pyramid
from tilewise.auditing.audit_cohort import AuditOptions, audit_cohort
from tilewise.auditing.config import AuditConfig
from tilewise.cohort import Cohort
from tilewise.errors import CohortError
from tilewise.slides import open_slide
from tilewise.tiles.config import TileConfig
from tilewise.tiles.cut_tiles import cut_tiles
from tilewise.tiles.tile_cohort import tile_cohort
from tilewise.units import Box

AT_40X = {"resolution": (40_000, 40_000), "resolutionunit": "centimeter"}


def cohort_of(folder, table, **options):
    """Slides a and b of 512 x 384 pixels with two further levels."""
    for number, name in enumerate("ab"):
        draw_slide(folder / "drawn.png", number, klass=0)
        rgb = cv2.cvtColor(cv2.imread(str(folder / "drawn.png")), cv2.COLOR_BGR2RGB)
        large = cv2.resize(rgb, (512, 384), interpolation=cv2.INTER_CUBIC)
        write_pyramid(folder / f"{name}.tif", halved(large, times=2), **options)
    (folder / "drawn.png").unlink()
    (folder / "cohort.csv").write_text(table)
    return Cohort.discover(folder, purpose="predict")


def audited(cohort):
    return audit_cohort(cohort, AuditConfig(), AuditOptions(drop=False, workers=1))


@pytest.mark.parametrize(
    ("options", "side"), [({"magnification": 40}, 32), ({"magnification": 20}, 64), ({"size_um": 32.0}, 128)]
)
def test_tiles_come_from_the_level_of_the_scale_that_is_asked_for(options, side, tmp_path):
    slides = audited(cohort_of(tmp_path, "slide\na\nb\n", **AT_40X))
    config = TileConfig(size_px=32, strategy="grid", **options)
    tiles, _ = tile_cohort(slides, config, out=None, workers=1)
    rows = tiles.rows()["a"]
    assert set(rows.boxes[:, 2].tolist()) == {side}
    with open_slide(tmp_path / "a.tif") as reader:
        level = reader.levels.index((512 * 32 // side, 384 * 32 // side))
        cut = cut_tiles(reader, rows, config)
        pixels = reader._source.read(level, Box(*(rows.boxes[0] * 32 // side).tolist()))
    np.testing.assert_array_equal(cut[0], pixels)


def test_a_scale_that_no_file_has_is_declared_by_the_table_or_the_slide_is_named(tmp_path):
    slides = audited(cohort_of(tmp_path, "slide,mpp\na,0.5\nb,\n"))
    assert [item.mpp for item in slides.slides] == [0.5, None]
    assert any("0.5 microns a pixel declared by the table" in note for note in slides.slides[0].notes)
    tiles, _ = tile_cohort(slides, TileConfig(size_px=32, magnification=10, strategy="grid"), out=None, workers=1)
    assert set(tiles.rows()["a"].boxes[:, 2].tolist()) == {64}
    assert "does not know its scale" in tiles.skipped["b"]
    config = TileConfig(size_px=32, magnification=10, assumed_mpp=1.0, strategy="grid")
    assert set(tile_cohort(slides, config, out=None, workers=1)[0].rows()["b"].boxes[:, 2].tolist()) == {32}


def test_another_declared_scale_makes_other_tiles_of_the_same_table(tmp_path):
    first = audited(cohort_of(tmp_path, "slide,mpp\na,0.5\nb,0.5\n"))
    (tmp_path / "cohort.csv").write_text("slide,mpp\na,1.0\nb,0.5\n")
    second = audited(Cohort.discover(tmp_path, purpose="predict"))
    assert first.digest != second.digest


def test_what_the_file_says_holds_and_the_difference_is_noted(tmp_path):
    slides = audited(cohort_of(tmp_path, "slide,MPP\na,0.5\nb,0.25\n", **AT_40X))
    assert [item.mpp for item in slides.slides] == [pytest.approx(0.25)] * 2
    assert any("the table declares 0.5" in note for note in slides.slides[0].notes)
    assert not any("declares" in note for note in slides.slides[1].notes)


@pytest.mark.parametrize("cell", ["20x", "0", "-1", "inf"])
def test_a_cell_that_is_no_scale_is_a_fault_of_the_table(cell, tmp_path):
    with pytest.raises(CohortError, match=r"slide `a`: column `mpp`"):
        cohort_of(tmp_path, f"slide,mpp\na,{cell}\nb,\n")
