from __future__ import annotations

import logging

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.slides.conftest import scene
from tests.slides.pyramids import halved, write_pyramid
from tilewise.errors import SlideTooLarge, SlideUnreadable
from tilewise.slides import open_slide, pixel_digest, read_header, read_image, read_samples, rgb_digest
from tilewise.slides.pyramid import PyramidReader
from tilewise.slides.tiled_tiff import TiledTiff
from tilewise.units import Box, Size

WIDTH, HEIGHT = 197, 131
SCENE = scene(WIDTH, HEIGHT)
LEVELS = halved(SCENE, times=2)
BOXES = st.builds(
    Box, x=st.integers(-80, 260), y=st.integers(-80, 190), width=st.integers(1, 250), height=st.integers(1, 200)
)


def on_white(box):
    plane = np.full((HEIGHT + 800, WIDTH + 800, 3), 255, np.uint8)
    plane[400 : 400 + HEIGHT, 400 : 400 + WIDTH] = SCENE
    return plane[400 + box.y : 400 + box.bottom, 400 + box.x : 400 + box.right]


@pytest.fixture(scope="module")
def pyramid(tmp_path_factory):
    return write_pyramid(tmp_path_factory.mktemp("pyramid") / "a.tif", LEVELS)


@given(box=BOXES)
@settings(deadline=None, max_examples=60)
def test_regions_are_slices_of_level_0_on_white(pyramid, box):
    with open_slide(pyramid) as reader:
        np.testing.assert_array_equal(reader.read_region(box), on_white(box))


@given(box=BOXES)
@settings(deadline=None, max_examples=60)
def test_a_small_cache_changes_nothing(pyramid, box):
    with PyramidReader(pyramid, TiledTiff(pyramid, cache_bytes=5000)) as reader:
        for _ in range(2):
            np.testing.assert_array_equal(reader.read_region(box), on_white(box))


@pytest.mark.parametrize("subifds", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": None},
        {"compression": "zlib", "predictor": True, "tile": (64, 16)},
        {"compression": "lzw", "byteorder": ">", "bigtiff": True},
        {"compression": "jpeg2000", "compressionargs": {"reversible": True}},
    ],
)
def test_levels_wherever_they_are_kept(subifds, options, tmp_path):
    writer = {name: options.pop(name) for name in ("byteorder", "bigtiff") if name in options}
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path, **writer) as file:
        written = {"photometric": "rgb", "tile": (32, 48), "metadata": None} | options
        file.write(LEVELS[0], subifds=2 if subifds else 0, **written)
        for level in LEVELS[1:]:
            file.write(level, subfiletype=1, **written)
    with open_slide(path) as reader:
        assert reader.levels == ((197, 131), (98, 65), (49, 32))
        assert reader.size == read_header(path).size == (197, 131)
        np.testing.assert_array_equal(reader.read_whole(), SCENE)
    np.testing.assert_array_equal(read_image(path), SCENE)
    assert pixel_digest(path) == rgb_digest(SCENE)


def test_pages_that_are_no_levels_are_left_out(tmp_path):
    path = tmp_path / "a.svs"
    label = np.zeros((64, 64, 3), np.uint8)
    with tifffile.TiffWriter(path) as file:
        file.write(LEVELS[0], photometric="rgb", tile=(32, 32), compression="zlib", metadata=None)
        file.write(LEVELS[2], photometric="rgb", compression="zlib", metadata=None)  # a thumbnail, in strips
        file.write(LEVELS[1], photometric="rgb", tile=(32, 32), compression="zlib", metadata=None)
        file.write(label, photometric="rgb", tile=(32, 32), compression="zlib", metadata=None)
        file.write(LEVELS[1][:, :, 0], photometric="minisblack", tile=(32, 32), compression="zlib", metadata=None)
    with open_slide(path) as reader:
        assert reader.levels == ((197, 131), (98, 65))


@pytest.mark.parametrize("subsampling", [(1, 1), (2, 1), (2, 2)])
def test_jpeg_tiles_give_the_pixels_of_the_whole_page(subsampling, tmp_path):
    path = write_pyramid(
        tmp_path / "a.tif", LEVELS, compression="jpeg", compressionargs={"level": 92}, subsampling=subsampling
    )
    whole = tifffile.imread(path, key=0)
    with open_slide(path) as reader:
        np.testing.assert_array_equal(reader.read_region(Box(31, 5, 120, 126)), whole[5:131, 31:151])
        assert np.abs(reader.read_whole().astype(int) - SCENE).mean() < 12


@pytest.mark.parametrize("photometric", ["rgb", "ycbcr"])
def test_shared_jpeg_tables_and_colours(photometric, tmp_path):
    vips = pytest.importorskip("pyvips")
    path = tmp_path / "a.tif"
    quality = 95 if photometric == "rgb" else 80  # libvips stores RGB from 90 on
    vips.Image.new_from_array(SCENE).tiffsave(
        str(path), tile=True, tile_width=64, tile_height=32, pyramid=True, compression="jpeg", Q=quality
    )
    with tifffile.TiffFile(path) as file:
        assert file.pages.first.jpegtables
        assert file.pages.first.photometric.name.lower() == photometric
    with open_slide(path) as reader:
        assert len(reader.levels) == 3
        expected = vips.Image.new_from_file(str(path)).numpy()
        assert np.abs(reader.read_whole().astype(int) - expected).max() <= 3
        small = reader.read_region(Box(0, 0, 196, 130), size=Size(49, 32))
        assert np.abs(small.astype(int) - LEVELS[2]).mean() < 12


def test_only_what_a_region_touches_is_decoded_and_once(pyramid, monkeypatch):
    decoded = []
    real = TiledTiff._decoded
    monkeypatch.setattr(TiledTiff, "_decoded", lambda self, *key: decoded.append(key) or real(self, *key))
    with open_slide(pyramid) as reader:
        assert decoded == []
        reader.read_region(Box(50, 40, 40, 20))  # tiles are 48 wide and 32 high
        assert decoded == [(0, 1, 1)]
        reader.read_region(Box(50, 40, 46, 25))
        assert decoded == [(0, 1, 1), (0, 2, 1)]
        reader.read_region(Box(0, 0, 196, 128), size=Size(49, 32))
        assert {level for level, _, _ in decoded[2:]} == {2}


def test_the_cache_keeps_to_its_budget(pyramid):
    levels = TiledTiff(pyramid, cache_bytes=10_000)
    for x in range(0, WIDTH - 10, 7):
        levels.read(0, Box(x, 0, 10, HEIGHT))
        assert sum(tile.nbytes for tile in levels._cache._tiles.values()) <= 10_000
    levels.close()


def test_tiles_that_were_never_stored_are_glass(tmp_path):
    path = write_pyramid(tmp_path / "a.tif", LEVELS)
    with tifffile.TiffFile(path, mode="r+") as file:
        for name in ("TileOffsets", "TileByteCounts"):
            tag = file.pages.first.tags[name]
            tag.overwrite([0, *tag.value[1:]])
    with open_slide(path) as reader:
        region = reader.read_region(Box(0, 0, 100, 40))
        assert (region[:32, :48] == 255).all()
        np.testing.assert_array_equal(region[32:], SCENE[32:40, :100])
        assert "1 tiles are not stored and taken as empty glass" in reader.notes


@pytest.mark.parametrize("compression", ["zlib", "jpeg"])
@pytest.mark.parametrize("share", [0.03, 0.3, 0.9])
def test_a_file_that_was_broken_off_is_named(compression, share, tmp_path, caplog):
    path = write_pyramid(tmp_path / "img_0042.tif", LEVELS, compression=compression)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with caplog.at_level(logging.DEBUG), pytest.raises(SlideUnreadable, match=r"img_0042\.tif"):
        open_slide(path)
    assert not caplog.records


@pytest.mark.parametrize("compression", ["zlib", "jpeg"])
def test_a_damaged_tile_is_noticed_where_it_is_read(compression, tmp_path):
    path = write_pyramid(tmp_path / "img_0042.tif", LEVELS, compression=compression)
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        start, count = page.dataoffsets[7], page.databytecounts[7]
    data = bytearray(path.read_bytes())
    data[start + count // 3 : start + count] = bytes(count - count // 3)
    path.write_bytes(data)
    with open_slide(path) as reader:
        assert np.abs(reader.read_region(Box(0, 0, 48, 32)).astype(int) - SCENE[:32, :48]).mean() < 12
        with pytest.raises(SlideUnreadable, match=r"img_0042\.tif: a region cannot be decoded"):
            reader.read_region(Box(96, 32, 40, 30))
        with pytest.raises(SlideUnreadable, match=r"img_0042\.tif"):
            reader.read_whole()


def test_tiles_without_bytes_are_damage(tmp_path):
    path = write_pyramid(tmp_path / "a.tif", LEVELS)
    with tifffile.TiffFile(path, mode="r+") as file:
        counts = file.pages.first.tags["TileByteCounts"]
        counts.overwrite([*counts.value[:-1], 0])
    with pytest.raises(SlideUnreadable, match="tiles are empty"):
        open_slide(path)


def test_a_limit_is_one_of_reading_all_at_once(pyramid):
    with open_slide(pyramid, max_pixels=49 * 32) as reader:
        assert reader.size == (WIDTH, HEIGHT)
        np.testing.assert_array_equal(reader.read_region(Box(3, 7, 20, 11)), LEVELS[0][7:18, 3:23])
        with pytest.raises(SlideTooLarge, match=r"a\.tif: 197 x 131 .* \(max_pixels\)"):
            reader.read_whole()
    with pytest.raises(SlideTooLarge, match=r"a\.tif: 197 x 131"):
        read_image(pyramid, max_pixels=49 * 32)


def test_what_has_no_rgb_tiles_stays_a_flat_image(tmp_path):
    deep = np.random.default_rng(5).integers(0, 65_535, (40, 60, 3), np.uint16)
    path = tmp_path / "deep.tif"
    tifffile.imwrite(path, deep, photometric="rgb", tile=(16, 16))
    assert read_header(path).levels == ()
    np.testing.assert_array_equal(read_image(path), np.floor(deep / 257 + 0.5))
    path = tmp_path / "turned.tif"
    tifffile.imwrite(path, SCENE, photometric="rgb", tile=(16, 16), extratags=[(274, 3, 1, 6, True)])
    np.testing.assert_array_equal(read_image(path), np.rot90(SCENE, -1))
    path = tmp_path / "mask.tif"
    mask = (SCENE[:, :, 0] > 120).astype(np.uint8) * 255
    tifffile.imwrite(path, mask, photometric="minisblack", tile=(16, 16), compression="zlib")
    np.testing.assert_array_equal(read_samples(path).pixels, mask)
