"""Thumbnails show the region that tiles were cut by, and no other."""

import cv2
import numpy as np
import pytest

from tests.drawn import draw_slide
from tilewise.reporting.thumbnail import CutBy, thumbnail
from tilewise.tiles.config import TileConfig

NAME = "a.png"


@pytest.fixture
def row(tmp_path):
    """A row of the audit's slide table; the mask marks less than the tissue does."""
    draw_slide(tmp_path / NAME, 0, klass=0, mask=tmp_path / "mask.png")
    paths = {"path": str(tmp_path / NAME), "mask": str(tmp_path / "mask.png")}
    return {"slide": NAME, "width": 128, "height": 96, "use_mask": True, **paths}


def cut_by(*regions, made=None, config=None):
    boxes = {NAME: np.array([[16, 16, 32, 32]])}
    return CutBy(boxes, {NAME: frozenset(regions)}, {} if made is None else {NAME: made}, config or TileConfig())


def corners(picture):
    rows, columns = np.flatnonzero(picture.mask_HW.any(axis=1)), np.flatnonzero(picture.mask_HW.any(axis=0))
    return rows[0], rows[-1], columns[0], columns[-1]


def test_the_mask_is_outlined_as_tiles_were_cut_by_it(row):
    assert corners(thumbnail(row, cut_by("mask"))) == (20, 75, 20, 107)
    grown = cut_by("mask", config=TileConfig(mask_dilation_px=3))
    assert corners(thumbnail(row, grown)) == (17, 78, 17, 110)
    assert grown.in_words(frozenset([NAME])) == "the mask"


def test_a_mask_that_was_made_is_outlined_in_the_place_of_the_own_one(row, tmp_path):
    made = np.zeros((96, 128), np.uint8)
    made[40:60, 30:90] = 255
    cv2.imwrite(str(tmp_path / "made.png"), made)
    by_made = cut_by("mask", made=tmp_path / "made.png")
    assert corners(thumbnail(row, by_made)) == (40, 59, 30, 89)
    assert by_made.in_words(frozenset([NAME])) == "a mask that the run made"


def test_where_tiles_were_cut_by_tissue_or_the_whole_slide_no_mask_is_outlined(row):
    by_tissue = cut_by("tissue")
    assert corners(thumbnail(row, by_tissue)) == pytest.approx((16, 79, 16, 111), abs=2)
    assert by_tissue.in_words(frozenset([NAME])) == "tissue found by its colour"
    assert thumbnail(row, cut_by("slide")).mask_HW is None
    assert cut_by("slide").in_words(frozenset([NAME])) == ""
