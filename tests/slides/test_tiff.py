from __future__ import annotations

import logging
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from tilewise.errors import SlideUnreadable
from tilewise.slides import open_slide, read_header, read_image, read_samples


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zlib", "predictor": True},
        {"compression": "lzw"},
        {"compression": "packbits"},
        {"compression": "zstd", "tile": (32, 32)},
        {"planarconfig": "separate"},
        {"planarconfig": "separate", "compression": "zlib", "tile": (16, 48)},
        {"byteorder": ">", "bigtiff": True},
        {"rowsperstrip": 7, "compression": "deflate"},
        {"compression": "jpeg2000", "compressionargs": {"reversible": True}},
    ],
)
def test_lossless_rgb_comes_back_as_it_was_written(options, rgb, tmp_path):
    path = tmp_path / "a.tif"
    data = np.moveaxis(rgb, -1, 0) if options.get("planarconfig") == "separate" else rgb
    tifffile.imwrite(path, data, photometric="rgb", **options)
    np.testing.assert_array_equal(read_image(path), rgb)
    assert read_header(path).size == (97, 61)


def test_jpeg_compressed_tiles(rgb, tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, rgb, photometric="rgb", compression="jpeg", compressionargs={"level": 95}, tile=(32, 32))
    assert np.abs(read_image(path).astype(int) - rgb).mean() < 8
    assert read_header(path).lossy


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.bool_])
def test_greys_of_every_depth(photometric, kind, tmp_path):
    high = 1 if kind is np.bool_ else np.iinfo(kind).max
    stored = np.random.default_rng(4).integers(0, high, (30, 41), endpoint=True).astype(kind)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stored, photometric=photometric)
    values = high - stored.astype(np.int64) if photometric == "miniswhite" else stored.astype(np.int64)
    np.testing.assert_array_equal(read_samples(path).pixels, values)
    np.testing.assert_array_equal(read_image(path)[:, :, 2], np.floor(values * 255 / high + 0.5))


@pytest.mark.parametrize("compression", ["group4", "group3", "tiff_deflate", "packbits"])
@pytest.mark.parametrize("white_is_zero", [True, False])
def test_bilevel_images_of_every_codec(compression, white_is_zero, write, tmp_path):
    bitmap = np.random.default_rng(4).integers(0, 1, (30, 41), endpoint=True).astype(bool)
    path = write("a.tif", Image.fromarray(bitmap), compression=compression)
    if white_is_zero:
        with tifffile.TiffFile(path, mode="r+") as file:
            file.pages.first.tags["PhotometricInterpretation"].overwrite(0)
    expected = ~bitmap if white_is_zero else bitmap
    np.testing.assert_array_equal(np.asarray(Image.open(path)), expected)
    np.testing.assert_array_equal(read_samples(path).pixels, expected)
    np.testing.assert_array_equal(read_image(path)[:, :, 0], expected * 255)
    assert ("0 is white, as its photometric tag says" in read_header(path).notes) == white_is_zero


@pytest.mark.parametrize("tiled", [{}, {"tile": (16, 32)}])
@pytest.mark.parametrize("compression", [None, "zlib", "jpeg", "jpeg2000"])
def test_white_is_zero_of_every_codec(compression, tiled, rgb, tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, rgb[:, :, 0], photometric="miniswhite", compression=compression, **tiled)
    assert np.abs(read_samples(path).pixels.astype(int) - (255 - rgb[:, :, 0].astype(int))).mean() < 3


MAX_SAMPLE, SMAX_SAMPLE = 281, 341


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite", "rgb"])
@pytest.mark.parametrize(
    ("stated", "top"),
    [
        ({"extratags": [(MAX_SAMPLE, "H", 3, (4095,) * 3, True)]}, 4095),
        ({"extratags": [(SMAX_SAMPLE, "H", 3, (4095,) * 3, True)]}, 4095),
        ({"ome": True, "metadata": {"SignificantBits": 12}}, 4095),
        ({"extratags": [(MAX_SAMPLE, "H", 3, (1023,) * 3, True)]}, 65_535),  # the samples say otherwise
        ({"extratags": [(MAX_SAMPLE, "H", 3, (3987,) * 3, True)]}, 65_535),  # of this picture, not of its kind
        ({}, 65_535),
    ],
)
def test_samples_are_scaled_by_what_the_file_says_is_full_scale(stated, top, photometric, tmp_path):
    if photometric != "rgb" and "extratags" in stated:
        ((code, kind, _, values, _),) = stated["extratags"]
        stated = {"extratags": [(code, kind, 1, values[0], True)]}
    stored = np.random.default_rng(5).integers(0, 4080, (20, 30, 3), np.uint16, endpoint=True)
    stored[0, 0] = 4080
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stored if photometric == "rgb" else stored[:, :, 0], photometric=photometric, **stated)
    values = top - stored.astype(np.int64) if photometric == "miniswhite" else stored.astype(np.int64)
    np.testing.assert_array_equal(read_image(path)[:, :, 0], (values * 255 + top // 2)[:, :, 0] // top)
    with open_slide(path) as reader:
        assert (reader.samples.highest, reader.samples.full_scale) == (4080, top)
        assert any("samples reach" in note for note in reader.notes) == (top == 65_535)


def test_deep_rgb_is_scaled(tmp_path):
    deep = np.random.default_rng(5).integers(0, 65_535, (20, 30, 3), np.uint16)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, deep, photometric="rgb")
    np.testing.assert_array_equal(read_image(path), np.floor(deep / 257 + 0.5))


def test_palette(rgb, write):
    image = Image.fromarray(rgb).quantize(30)
    np.testing.assert_array_equal(read_image(write("a.tif", image)), np.asarray(image.convert("RGB")))


def test_cmyk(rgb, write):
    image = Image.fromarray(rgb).convert("CMYK")
    path = write("a.tif", image)
    expected = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(read_image(path) - expected).max() <= 1


@pytest.mark.parametrize(
    ("extra", "expected"),
    [("unassalpha", [177, 167, 157]), ("assocalpha", [227, 207, 187]), ("unspecified", [100, 80, 60])],
)
def test_a_fourth_channel_by_its_meaning(extra, expected, tmp_path):
    pixels = np.empty((9, 8, 4), np.uint8)
    pixels[:] = (100, 80, 60, 128)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, photometric="rgb", extrasamples=[extra])
    # unassociated: c * 128/255 + 255 * 127/255; associated: c + 127
    assert np.abs(read_image(path)[0, 0].astype(int) - expected).max() <= 3
    with open_slide(path) as reader:
        notes = " ".join(reader.notes)
    assert ("no stated meaning" in notes) == (extra == "unspecified")


def test_level_0_of_a_pyramid_is_taken_and_said(rgb, tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(rgb, photometric="rgb", subifds=1)
        file.write(rgb[::2, ::2], photometric="rgb", subfiletype=1)
    np.testing.assert_array_equal(read_image(path), rgb)
    assert any("level 0 of a pyramid of 2 levels" in note for note in read_header(path).notes)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"resolution": (40_000, 40_000), "resolutionunit": "centimeter"}, 0.25),
        ({"resolution": (50_800, 50_800), "resolutionunit": "inch"}, 0.5),
        ({"resolution": (72, 72), "resolutionunit": "inch"}, None),
        ({"resolution": (40_000, 20_000), "resolutionunit": "centimeter"}, None),
        ({"resolution": (40_000, 40_000), "resolutionunit": "none"}, None),
        ({}, None),
        ({"description": "Aperio Image Library|AppMag = 20|MPP = 0.4990|Left = 1", "metadata": None}, 0.499),
        ({"description": "Aperio Image Library|MPP = 0..4|Left = 1", "metadata": None}, None),
    ],
)
def test_resolution(options, expected, rgb, tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, rgb, photometric="rgb", **options)
    mpp = read_header(path).mpp
    assert mpp == (expected if expected is None else pytest.approx(expected, rel=1e-3))


@pytest.mark.parametrize(("unit", "expected"), [("µm", 0.33), ("nm", None)])
def test_resolution_of_ome(unit, expected, rgb, tmp_path):
    path = tmp_path / "a.ome.tif"
    metadata = {"PhysicalSizeX": 0.33, "PhysicalSizeXUnit": unit, "PhysicalSizeY": 0.33, "PhysicalSizeYUnit": unit}
    tifffile.imwrite(path, rgb, photometric="rgb", metadata=metadata)
    mpp = read_header(path).mpp
    assert mpp == (expected if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (np.zeros((8, 9), np.float32), {"photometric": "minisblack"}, "float32, not 8 or 16 bits"),
        (np.zeros((8, 9), np.uint32), {"photometric": "minisblack"}, "uint32, not 8 or 16 bits"),
        (np.zeros((8, 9, 7), np.uint8), {"photometric": "minisblack", "planarconfig": "contig"}, "7 channels"),
        (np.zeros((3, 8, 9), np.uint8), {"photometric": "minisblack", "ome": True}, "3 channels in separate pages"),
        (np.zeros((8, 9, 3), np.uint8), {"photometric": "cielab"}, "its colours are CIELAB"),
    ],
)
def test_what_is_no_slide_is_named(data, options, message, tmp_path):
    path = tmp_path / "a.tif"
    metadata = {"axes": "CYX"} if options.get("ome") else None
    tifffile.imwrite(path, data, metadata=metadata, **options)
    with pytest.raises(SlideUnreadable, match=message):
        open_slide(path)


def test_channels_of_different_depths_are_refused(tmp_path):
    """Of RGB 5-6-5 the order of bytes is anybody's guess, and its full scale was taken for that of green."""
    width, height = 9, 8
    packed = bytes(2 * width * height)
    entries = [
        (256, 3, 1, width), (257, 3, 1, height), (258, 3, 3, 134), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 140),
        (277, 3, 1, 3), (278, 3, 1, height), (279, 4, 1, len(packed)), (284, 3, 1, 1),
    ]  # fmt: skip
    data = struct.pack("<2sHIH", b"II", 42, 8, len(entries))
    data += b"".join(struct.pack("<HHII", *entry) for entry in entries) + struct.pack("<I3H", 0, 5, 6, 5)
    path = tmp_path / "a.tif"
    path.write_bytes(data + packed)
    with pytest.raises(SlideUnreadable, match=r"a\.tif.*its channels have 5, 6, 5 bits; save it with 8 bits each"):
        read_image(path)


def test_ycbcr_with_a_fourth_channel_is_refused(rgb, tmp_path):
    path = tmp_path / "a.tif"
    with_alpha = np.concatenate([rgb, np.full((*rgb.shape[:2], 1), 255, np.uint8)], axis=2)
    tifffile.imwrite(path, with_alpha, photometric="rgb", extrasamples=["unassalpha"], compression="webp")
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages.first.tags["PhotometricInterpretation"].overwrite(6)
    with pytest.raises(SlideUnreadable, match="it has 4 channels, which are no ycbcr image"):
        read_image(path)


def test_strips_that_are_missing_are_noticed(rgb, tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, rgb, photometric="rgb", rowsperstrip=8, compression="zlib")
    with tifffile.TiffFile(path, mode="r+") as file:
        counts = file.pages.first.tags["StripByteCounts"]
        counts.overwrite([*counts.value[:-1], 0])
    with pytest.raises(SlideUnreadable, match="strips or tiles are empty"):
        read_image(path)


def test_a_file_cut_before_its_first_page_says_so(rgb, tmp_path):
    path = tmp_path / "a.tif"
    Image.fromarray(rgb).save(path, compression="tiff_deflate")
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(SlideUnreadable, match=r"a\.tif.*broken off or damaged"):
        read_image(path)


def test_tifffile_says_nothing_in_the_log(rgb, tmp_path, caplog):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, rgb, photometric="rgb")
    data = bytearray(path.read_bytes())
    data[-200:] = b"\xff" * 200
    path.write_bytes(data[: len(data) // 2])
    with caplog.at_level(logging.DEBUG), pytest.raises(SlideUnreadable):
        read_image(path)
    assert not caplog.records
