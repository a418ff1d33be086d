from __future__ import annotations

import sys

import numpy as np
import pytest
import tifffile

from tests.slides.conftest import scene
from tests.slides.pyramids import halved, write_pyramid
from tilewise.cohort.files import list_folder
from tilewise.errors import SlideUnreadable
from tilewise.slides import open_slide, openslide_levels, read_header
from tilewise.slides.openslide_levels import OpenSlideLevels
from tilewise.slides.pyramid import PyramidReader
from tilewise.slides.tiled_tiff import TiledTiff
from tilewise.units import Box, Size

LEVELS = halved(scene(320, 204), times=2)
VENDOR = {"software": "Philips DP v1.0", "description": '<?xml version="1.0"?><DataObject></DataObject>'}


@pytest.fixture
def without_openslide(monkeypatch):
    monkeypatch.setitem(sys.modules, "openslide", None)


@pytest.mark.parametrize("compression", ["zlib", "jpeg"])
def test_both_ways_give_the_same_pixels(compression, tmp_path):
    pytest.importorskip("openslide")
    path = write_pyramid(tmp_path / "a.tif", LEVELS, tile=(64, 32), compression=compression)
    with PyramidReader(path, TiledTiff(path)) as ours, PyramidReader(path, OpenSlideLevels(path)) as theirs:
        assert ours.levels == theirs.levels
        for box, size in [
            (Box(0, 0, 320, 204), None),
            (Box(101, 33, 97, 61), None),
            (Box(-20, 150, 90, 90), None),
            (Box(40, 40, 160, 120), Size(80, 60)),
            (Box(0, 0, 320, 200), Size(80, 50)),
        ]:
            np.testing.assert_array_equal(ours.read_region(box, size=size), theirs.read_region(box, size=size))


def test_large_regions_are_read_in_bands(tmp_path, monkeypatch):
    pytest.importorskip("openslide")
    path = write_pyramid(tmp_path / "a.tif", LEVELS)
    monkeypatch.setattr(openslide_levels, "_BAND_PIXELS", 320 * 50)
    with PyramidReader(path, OpenSlideLevels(path)) as reader:
        np.testing.assert_array_equal(reader.read_whole(), LEVELS[0])


def test_what_was_not_scanned_is_white(tmp_path):
    pytest.importorskip("openslide")
    path = write_pyramid(tmp_path / "a.tif", LEVELS, tile=(64, 32))
    with tifffile.TiffFile(path, mode="r+") as file:
        for name in ("TileOffsets", "TileByteCounts"):
            tag = file.pages.first.tags[name]
            tag.overwrite([0, *tag.value[1:]])
    with PyramidReader(path, OpenSlideLevels(path)) as reader:
        region = reader.read_region(Box(0, 0, 64, 64))
    assert (region[:, :32] == 255).all()
    np.testing.assert_array_equal(region[:, 32:], LEVELS[0][:64, 32:64])


def test_a_vendors_file_goes_to_openslide(tmp_path):
    pytest.importorskip("openslide")
    path = write_pyramid(tmp_path / "a.tif", LEVELS, resolution=(40_000, 40_000), resolutionunit="centimeter", **VENDOR)
    header = read_header(path)
    assert (header.format, header.size) == ("OpenSlide", (320, 204))
    with open_slide(path) as reader:
        assert reader.notes == ("read by OpenSlide as generic-tiff",)
        assert reader.mpp == pytest.approx(0.25)
        np.testing.assert_array_equal(reader.read_whole(), LEVELS[0])
        assert reader.thumbnail(80).shape == (51, 80, 3)


@pytest.mark.usefixtures("without_openslide")
@pytest.mark.parametrize("name", ["a.tif", "a.mrxs", "a.vms"])
def test_without_the_extra_the_error_names_it(name, tmp_path):
    path = write_pyramid(tmp_path / "a.tif", LEVELS, **VENDOR).rename(tmp_path / name)
    for function in (open_slide, read_header):
        with pytest.raises(SlideUnreadable, match=r"a\.\w+: .*OpenSlide, which is not installed.*'tilewise\[wsi\]'"):
            function(path)


@pytest.mark.usefixtures("without_openslide")
@pytest.mark.parametrize("name", ["a.tif", "a.svs", "a.scn"])
def test_plain_pyramids_need_no_extra_whatever_their_name(name, tmp_path):
    path = write_pyramid(tmp_path / name, LEVELS)
    with open_slide(path) as reader:
        np.testing.assert_array_equal(reader.read_whole(), LEVELS[0])


@pytest.mark.parametrize("name", ["a.mrxs", "a.vms", "a.svslide"])
def test_what_openslide_cannot_read_is_named(name, tmp_path):
    pytest.importorskip("openslide")
    path = tmp_path / name
    path.write_bytes(b"nothing of use" * 50)
    with pytest.raises(SlideUnreadable, match=r"a\.\w+: .*OpenSlide"):
        open_slide(path)
    with pytest.raises(SlideUnreadable, match="no such file"):
        open_slide(tmp_path / f"gone{path.suffix}")


def test_a_vendors_file_that_was_broken_off_is_named(tmp_path):
    pytest.importorskip("openslide")
    path = write_pyramid(tmp_path / "img_0042.tif", LEVELS, **VENDOR)
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        start, count = page.dataoffsets[0], page.databytecounts[0]
    data = bytearray(path.read_bytes())
    data[start : start + count] = bytes(count)
    path.write_bytes(data)
    with open_slide(path) as reader, pytest.raises(SlideUnreadable, match=r"img_0042\.tif: .*OpenSlide says"):
        reader.read_whole()


def test_folders_list_vendors_files(tmp_path):
    for name in ("a.ndpi", "b.mrxs", "c.scn", "d.bif", "e.svs"):
        (tmp_path / name).write_bytes(b"x")
    assert len(list_folder(tmp_path).images) == 5
