"""JPEG whose compressed data is damaged: libjpeg decodes it and says nothing."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.slides.conftest import scene
from tilewise.errors import SlideUnreadable
from tilewise.slides import open_slide, read_image
from tilewise.slides.jpeg_scan import scan_fault
from tilewise.units import Box

PICTURE = scene(203, 157)
KINDS = {
    "plain": {},
    "444": {"subsampling": 0, "quality": 95},
    "422": {"subsampling": 1, "optimize": True},
    "restart": {"restart_marker_rows": 1},
    "many-restarts": {"restart_marker_blocks": 7, "quality": 90},
    "progressive": {"progressive": True},
    "progressive-444": {"progressive": True, "subsampling": 0},
}


def encoded(picture=PICTURE, **options):
    stream = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(stream, "JPEG", **options)
    return stream.getvalue()


def zeroed(data, share, num_bytes=64):
    """With some bytes of the scan's data set to 0, as a bad block of a disk does."""
    start = data.index(b"\xff\xda") + 14
    place = start + int(share * (len(data) - num_bytes - 2 - start))
    return data[:place] + bytes(num_bytes) + data[place + num_bytes :]


@pytest.mark.parametrize("kind", KINDS)
def test_zeroed_bytes_are_noticed(kind, tmp_path):
    whole = encoded(**KINDS[kind])
    assert scan_fault(whole) == ""
    path = tmp_path / "slide.jpg"
    path.write_bytes(zeroed(whole, 0.5))
    with pytest.raises(SlideUnreadable, match=r"slide\.jpg.*compressed data is damaged.*Copy it again"):
        read_image(path)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk_are_checked_too(mode):
    whole = encoded(Image.fromarray(PICTURE).convert(mode))
    assert scan_fault(whole) == ""
    assert scan_fault(zeroed(whole, 0.5)) != ""


def test_a_lost_stretch_and_a_doubled_one_are_noticed():
    whole = encoded()
    middle = len(whole) // 2
    lost, doubled = whole[: middle - 300] + whole[middle:], whole[:middle] + whole[middle - 300 :]
    assert "damaged: it ends before the picture is complete," in scan_fault(lost)
    assert "damaged: it goes on beyond the picture," in scan_fault(doubled)


@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"progressive": True}])
def test_a_picture_that_ends_on_middle_grey_is_whole(options):
    picture = PICTURE.copy()
    picture[100:] = 128
    assert scan_fault(encoded(picture, **options)) == ""
    assert scan_fault(encoded(np.full_like(picture, 128), **options)) == ""


@pytest.mark.parametrize("padding", [b"\0" * 9, b"\xff" * 5])
def test_bytes_that_a_camera_puts_behind_the_data_do_no_harm(padding):
    whole = encoded()
    assert scan_fault(whole[:-2] + padding + whole[-2:]) == ""


@pytest.mark.parametrize("side", [1, 7, 8, 16, 33])
def test_small_pictures_are_whole(side):
    for options in KINDS.values():
        assert scan_fault(encoded(PICTURE[:side, : side + 3], **options)) == ""


@pytest.mark.parametrize("layout", [{"tile": (64, 64)}, {"rowsperstrip": 64}])
def test_a_damaged_tile_or_strip_of_a_tiff_is_named(layout, tmp_path):
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, PICTURE, photometric="rgb", compression="jpeg", **layout)
    read_image(path)
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        offset, count = page.dataoffsets[1], page.databytecounts[1]
    data = path.read_bytes()
    path.write_bytes(data[:offset] + zeroed(data[offset : offset + count], 0.4, 32) + data[offset + count :])
    with pytest.raises(SlideUnreadable, match=r"(tile|strip or tile) 1 .*compressed data is damaged"):
        read_image(path)
    if "tile" in layout:
        with open_slide(path) as reader:  # other tiles can still be read
            assert reader.read_region(Box(0, 0, 64, 64)).shape == (64, 64, 3)


def test_a_file_of_many_scans_is_refused_before_it_is_decoded(tmp_path):
    whole = encoded(progressive=True)
    last = whole[whole.rindex(b"\xff\xda") : -2]
    path = tmp_path / "slide.jpg"
    path.write_bytes(whole[:-2] + 3000 * last + whole[-2:])
    with pytest.raises(SlideUnreadable, match="more than 32 scans"):
        read_image(path)
