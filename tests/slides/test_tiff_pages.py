"""Files of several pages: which is the slide, which are its levels, and what is said of the others."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import tifffile

from tests.slides.conftest import scene
from tests.slides.pyramids import halved
from tilewise.errors import SlideUnreadable
from tilewise.slides import omissions, open_slide, read_header, read_image, read_indices, read_samples, tiff_pages
from tilewise.slides.tiff_directory import MOST_PAGES
from tilewise.units import Box, Size

SCENE = scene(197, 131)
LEVELS = halved(SCENE, times=2)
OTHER = scene(98, 65, seed=5)[::-1]
TILED = {"photometric": "rgb", "tile": (32, 48), "compression": "zlib", "metadata": None}
STRIPS = {"photometric": "rgb", "compression": "zlib", "metadata": None}
GREY = {"photometric": "minisblack", "metadata": None}


def write_pages(path, *pages):
    with tifffile.TiffWriter(path) as file:
        for pixels, options in pages:
            file.write(np.ascontiguousarray(pixels), **options)
    return path


def notes_of(path):
    with open_slide(path) as reader:
        return reader.notes


@pytest.mark.parametrize("kind", [TILED, STRIPS])
@pytest.mark.parametrize("tagged", [True, False])
@pytest.mark.parametrize("subsampled", [True, False])
def test_a_thumbnail_that_comes_first_is_not_the_slide(kind, tagged, subsampled, tmp_path):
    thumbnail = SCENE[::4, ::4][:32, :49] if subsampled else LEVELS[2]
    path = write_pages(tmp_path / "a.tif", (thumbnail, kind | {"subfiletype": int(tagged)}), (SCENE, kind))
    np.testing.assert_array_equal(read_image(path), SCENE)
    assert any("took page 2 of 2" in note for note in notes_of(path))
    assert not omissions(notes_of(path))


def test_levels_may_come_the_coarsest_first(tmp_path):
    path = write_pages(tmp_path / "a.tif", *((level, TILED) for level in reversed(LEVELS)))
    with open_slide(path) as reader:
        assert reader.levels == ((197, 131), (98, 65), (49, 32))
        assert reader.notes == ("took page 3 of 3: beside it 2 levels",)


def test_the_slide_may_hang_below_a_reduced_first_page(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(LEVELS[2], subifds=1, subfiletype=1, **STRIPS)
        file.write(SCENE, **STRIPS)
    np.testing.assert_array_equal(read_image(path), SCENE)


@pytest.mark.parametrize("flags", [0, 1, 9])
@pytest.mark.parametrize("picture", [np.full((65, 98, 3), (250, 240, 0), np.uint8), OTHER])
def test_a_tiled_picture_of_like_proportions_is_no_level(flags, picture, tmp_path):
    picture = (picture, TILED | {"subfiletype": flags})
    path = write_pages(tmp_path / "a.tif", (SCENE, TILED), picture, (LEVELS[2], TILED | {"subfiletype": 1}))
    with open_slide(path) as reader:
        assert reader.levels == ((197, 131), (49, 32))
        small = reader.read_region(Box(0, 0, 196, 130), size=Size(98, 65))
        assert np.abs(small.astype(int) - LEVELS[1]).mean() < 4
        assert bool(omissions(reader.notes)) == (flags == 0)  # what is marked as reduced is no slide of its own


@pytest.mark.parametrize(
    ("description", "role"), [("macro", "macro"), ("Aperio Image Library v12\r\nlabel 98x65", "label")]
)
def test_what_its_description_names_is_no_level_and_nothing_is_missed(description, role, tmp_path):
    beside = (OTHER, STRIPS | {"description": description})
    path = write_pages(tmp_path / "a.tif", (SCENE, TILED), (LEVELS[1], TILED), beside)
    with open_slide(path) as reader:
        assert reader.levels == ((197, 131), (98, 65))
        assert reader.notes == (f"took page 1 of 3: beside it a level, a {role}",)


def test_what_ome_calls_a_macro_is_none_of_its_levels_and_nothing_is_missed(tmp_path):
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(OTHER, photometric="rgb", metadata={"Name": "label image"})
        file.write(SCENE, photometric="rgb", tile=(32, 48), subifds=1, metadata={"Name": "slide"})
        file.write(LEVELS[1], photometric="rgb", tile=(32, 48), subfiletype=1)
        file.write(OTHER[:, ::-1], photometric="rgb", tile=(32, 48), metadata={"Name": "macro image"})
    with open_slide(path) as reader:
        assert reader.levels == ((197, 131), (98, 65))
        assert reader.notes == ("took page 2 of 3: beside it a level, a label, a macro",)
        np.testing.assert_array_equal(reader.read_whole(), SCENE)


def test_another_picture_is_left_out_and_said(tmp_path):
    path = write_pages(tmp_path / "a.tif", (SCENE, STRIPS), (255 - SCENE, STRIPS), (OTHER, STRIPS))
    np.testing.assert_array_equal(read_image(path), SCENE)
    assert "took page 1 of 3" in notes_of(path)
    (words,) = omissions(notes_of(path))
    assert "page 2 of 3 (197 x 131)" in words
    assert "page 3 of 3 (98 x 65)" in words


def test_a_larger_picture_beside_the_first_is_refused(tmp_path):
    path = write_pages(tmp_path / "a.tif", (OTHER, STRIPS), (SCENE, STRIPS))
    with pytest.raises(SlideUnreadable, match=r"page 1 of 2 \(98 x 65\).*page 2 of 2 \(197 x 131\).*file of its own"):
        read_image(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"imagej": True, "metadata": {"axes": "CYX", "mode": "composite"}}, "3 channels in separate pages.*RGB Color"),
        ({"imagej": True, "metadata": {"axes": "ZYX"}}, "3 grey pages of one size"),
        ({"photometric": "minisblack"}, "3 grey pages of one size"),
        ({"photometric": "minisblack", "truncate": True}, "3 grey pages of one size"),
        ({"photometric": "miniswhite", "metadata": None}, "3 grey pages of one size"),
        ({"photometric": "minisblack", "planarconfig": "separate"}, "3 channels, which are no grey image"),
        ({"photometric": "minisblack", "volumetric": True, "tile": (16, 16, 16)}, "a volume of 3 planes"),
    ],
)
def test_planes_of_one_picture_are_not_taken_one_for_all(options, message, tmp_path):
    path = tmp_path / "img_0042.tif"
    tifffile.imwrite(path, np.ascontiguousarray(np.moveaxis(SCENE, -1, 0)), **options)
    for read in (read_image, read_samples, read_header):
        with pytest.raises(SlideUnreadable, match=rf"img_0042\.tif.*{message}"):
            read(path)


def test_planes_of_metamorph_share_one_page(tmp_path):
    path = tmp_path / "a.stk.tif"
    tags = [(33_629, "2I", 3, (1, 1) * 3, True)]
    planes = np.moveaxis(SCENE, -1, 0).reshape(-1, SCENE.shape[1])
    tifffile.imwrite(path, planes, photometric="minisblack", metadata=None, extratags=tags, rowsperstrip=len(planes))
    with tifffile.TiffFile(path, mode="r+") as file:
        for name in ("ImageLength", "RowsPerStrip"):
            file.pages.first.tags[name].overwrite(SCENE.shape[0])
        file.pages.first.tags["StripByteCounts"].overwrite(SCENE.shape[0] * SCENE.shape[1])
    with pytest.raises(SlideUnreadable, match="3 grey pages of one size"):
        read_image(path)


def test_the_numbers_of_an_indexed_mask_are_those_of_the_page_that_is_it(tmp_path):
    numbers = np.arange(12, dtype=np.uint8).repeat(6).reshape(8, 9)
    palette = {
        "photometric": "palette",
        "colormap": np.arange(3 * 256, dtype=np.uint16).reshape(3, 256),
        "metadata": None,
    }
    path = write_pages(tmp_path / "a.tif", (numbers[::2, ::2], palette | {"subfiletype": 1}), (numbers, palette))
    np.testing.assert_array_equal(read_indices(path), numbers)


@pytest.mark.parametrize("truncate", [True, False])
def test_the_further_images_of_an_rgb_stack_are_said(truncate, tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.stack([SCENE, SCENE[::-1]]), photometric="rgb", truncate=truncate)
    np.testing.assert_array_equal(read_image(path), SCENE)
    assert len(omissions(notes_of(path))) == 1


def test_levels_of_a_grey_mask_are_no_planes(tmp_path):
    mask = (SCENE[:, :, 0] > 120).astype(np.uint8) * 255
    path = write_pages(tmp_path / "a.tif", (mask, GREY), (mask[::2, ::2], GREY | {"subfiletype": 1}))
    np.testing.assert_array_equal(read_samples(path).pixels, mask)
    assert not omissions(notes_of(path))


@pytest.mark.parametrize("varies", [True, False])
def test_an_extra_channel_of_no_stated_meaning_is_a_loss_where_it_varies(varies, tmp_path):
    extra = SCENE[:, :, :1] if varies else np.full((131, 197, 1), 255, np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.concatenate([SCENE, extra], axis=2), photometric="rgb", extrasamples=["unspecified"])
    np.testing.assert_array_equal(read_image(path), SCENE)
    assert any("an extra channel of no stated meaning" in note for note in notes_of(path))
    assert bool(omissions(notes_of(path))) == varies


def link_last_page(path, place):
    """Make the last page's pointer to the next one point to `place`, or to the page of that number if it is an int."""
    with tifffile.TiffFile(path) as file:
        pages = list(file.pages)
        last = pages[-1].offset
        target = pages[place].offset if place < len(pages) else place
    data = bytearray(path.read_bytes())
    (num,) = struct.unpack_from("<H", data, last)
    struct.pack_into("<I", data, last + 2 + 12 * num, target)
    path.write_bytes(data)


@pytest.mark.parametrize(("num", "back"), [(1, 0), (3, 1), (130, 120)])
def test_pages_that_lead_in_a_circle_are_named(num, back, tmp_path):
    path = write_pages(tmp_path / "img_0042.tif", *([(np.zeros((4, 5), np.uint8), GREY)] * num))
    link_last_page(path, back)
    with pytest.raises(SlideUnreadable, match=rf"img_0042\.tif.*after page {num} its pages lead back"):
        read_header(path)


def test_pages_beyond_the_end_of_the_file_are_said(tmp_path):
    path = write_pages(tmp_path / "a.tif", (SCENE, STRIPS))
    link_last_page(path, 10_000_000)
    np.testing.assert_array_equal(read_image(path), SCENE)
    assert omissions(notes_of(path)) == ("the pages after page 1, which lie beyond the end of the file",)


def test_a_file_of_very_many_pages_is_refused_before_they_are_read(tmp_path, monkeypatch):
    path = write_pages(tmp_path / "a.tif", *([(np.zeros((4, 5), np.uint8), GREY)] * (MOST_PAGES + 1)))
    monkeypatch.setattr(tiff_pages, "read_page", None)
    with pytest.raises(SlideUnreadable, match=f"more than {MOST_PAGES:,} pages"):
        read_header(path)


def test_a_page_below_itself_is_read_once(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(SCENE, subifds=1, **TILED)
        file.write(LEVELS[1], **TILED)
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages.first.tags["SubIFDs"].overwrite(file.pages.first.offset)
    with open_slide(path) as reader:
        assert reader.levels == ((197, 131),)
