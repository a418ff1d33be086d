from __future__ import annotations

import io
import struct
import zlib

import cv2
import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, PngImagePlugin

from tilewise.errors import SlideUnreadable
from tilewise.slides import omissions, open_slide, png, read_header, read_image, read_samples


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def handmade(width, height, depth, color, rows, *extra, interlace=0, compressed=None):
    """A PNG written out by hand from its raw rows (filter bytes included)."""
    ihdr = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlace))
    data = zlib.compress(rows) if compressed is None else compressed
    return b"\x89PNG\r\n\x1a\n" + ihdr + b"".join(extra) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@given(
    pixels=hnp.arrays(
        np.uint8, hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=40).map(lambda s: (*s[:2], 3))
    ),
    level=st.integers(0, 9),
)
@settings(max_examples=60, deadline=None)
def test_rgb_comes_back_as_it_was_written(pixels, level):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=level)
    samples = png.decode_png(stream.getvalue())
    np.testing.assert_array_equal(samples.pixels, pixels)
    assert (samples.kind, samples.top) == ("rgb", 255)


@pytest.mark.parametrize("shape", [(70, 50), (70, 50, 3), (70, 50, 4)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_depths_and_channels_agree_with_opencv(shape, kind, tmp_path):
    pixels = np.random.default_rng(1).integers(0, np.iinfo(kind).max, shape, kind, endpoint=True)
    path = tmp_path / "a.png"
    assert cv2.imwrite(str(path), pixels)
    expected = pixels if pixels.ndim == 2 else pixels[:, :, [2, 1, 0, 3][: shape[2]]]
    samples = read_samples(path)
    np.testing.assert_array_equal(samples.pixels, expected)
    assert samples.top == np.iinfo(kind).max


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_modes_agree_with_pillow_on_white(mode, rgb, write):
    image = Image.fromarray(rgb).convert(mode)
    if mode in {"LA", "RGBA"}:
        image.putalpha(Image.fromarray(rgb[:, :, 1]))
    path = write("a.png", image)
    if mode in {"LA", "RGBA"}:
        colour, alpha = np.split(np.asarray(image.convert("RGBA")).astype(float), [3], axis=2)
        expected = np.floor((colour * alpha + 255 * (255 - alpha)) / 255 + 0.5)
    else:
        expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(read_image(path), expected)


@pytest.mark.parametrize("num_colors", [2, 4, 16, 200])
def test_palettes_of_every_depth_with_transparency(num_colors, rgb, write):
    image = Image.fromarray(rgb).quantize(num_colors)
    plain = write("plain.png", image)
    assert read_header(plain).mode == "palette"
    np.testing.assert_array_equal(read_image(plain), np.asarray(image.convert("RGB")))
    clear = write("clear.png", image, transparency=1)
    expected = np.where(np.asarray(image)[:, :, np.newaxis] == 1, 255, np.asarray(image.convert("RGB")))
    np.testing.assert_array_equal(read_image(clear), expected)
    with open_slide(clear) as reader:
        assert {"palette looked up", "alpha laid on white"} <= set(reader.notes)


@pytest.mark.parametrize(("mode", "transparency"), [("RGB", (200, 10, 30)), ("L", 77)])
def test_a_transparent_colour_becomes_white(mode, transparency, write):
    pixels = np.zeros((5, 6, 3) if mode == "RGB" else (5, 6), np.uint8) + 9
    pixels[2, 3] = transparency
    path = write("a.png", pixels, transparency=transparency)
    expected = np.full((5, 6, 3), 9)
    expected[2, 3] = 255
    np.testing.assert_array_equal(read_image(path), expected)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_shallow_greys_are_spread_over_the_whole_range(depth, tmp_path):
    levels = 2**depth
    per_byte = 8 // depth
    values = np.arange(16) % levels
    packed = bytes(
        sum(int(value) << (8 - depth * (i + 1)) for i, value in enumerate(values[start : start + per_byte]))
        for start in range(0, 16, per_byte)
    )
    path = tmp_path / "a.png"
    path.write_bytes(handmade(16, 1, depth, 0, b"\0" + packed))
    np.testing.assert_array_equal(read_image(path)[0, :, 0], values * 255 // (levels - 1))


def test_sixteen_bits_are_rounded_not_cut(tmp_path):
    pixels = np.arange(65_536, dtype=np.uint16).reshape(256, 256)
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), pixels)
    np.testing.assert_array_equal(read_image(path)[:, :, 0], np.floor(pixels / 257 + 0.5))
    with open_slide(path) as reader:
        assert "16-bit samples scaled to 8 bits" in reader.notes


def test_twelve_bits_in_sixteen_are_pointed_out(tmp_path):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.full((8, 8), 4095, np.uint16))
    with open_slide(path) as reader:
        assert any("only 4095 of 65535" in note for note in reader.notes)


@pytest.mark.parametrize("size", [(13, 9), (1, 1), (3, 20)])
def test_interlaced(size, tmp_path):
    # Adam7: start and step of each pass, as in the specification's table.
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    width, height = size
    pixels = np.random.default_rng(3).integers(0, 255, (height, width, 3), np.uint8)
    parts = [pixels[y::dy, x::dx] for x, y, dx, dy in passes]
    rows = b"".join(b"\0" + row.tobytes() for part in parts if part.size for row in part)
    path = tmp_path / "a.png"
    path.write_bytes(handmade(width, height, 8, 2, rows, interlace=1))
    np.testing.assert_array_equal(read_image(path), pixels)


def test_the_fast_way_is_taken_and_agrees_with_libpng(rgb, write, monkeypatch):
    path = write("a.png", rgb)
    expected = imagecodecs.png_decode(path.read_bytes())
    monkeypatch.setattr(imagecodecs, "png_decode", None)  # would raise if the slow way were taken
    np.testing.assert_array_equal(read_image(path), expected)


def test_excess_image_data_is_left_to_libpng(tmp_path):
    rows = b"\0\x01\x02\x03" * 2
    path = tmp_path / "a.png"
    path.write_bytes(handmade(1, 2, 8, 2, rows + b"\0" * 50))
    assert read_image(path).tolist() == [[[1, 2, 3]], [[1, 2, 3]]]


@pytest.mark.parametrize("interlace", [0, 1])
def test_image_data_that_inflates_far_beyond_the_image_is_refused(interlace, tmp_path):
    bomb = zlib.compress(bytes(40_000_000), 9)
    (tmp_path / "x.png").write_bytes(handmade(16, 16, 8, 2, None, interlace=interlace, compressed=bomb))
    with pytest.raises(SlideUnreadable, match="decompression bomb"):
        read_image(tmp_path / "x.png")


def test_image_data_may_stand_in_many_chunks(rgb, tmp_path):
    height, width = rgb.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in rgb)
    data = zlib.compress(rows)
    parts = [chunk(b"IDAT", data[i : i + 100]) for i in range(0, len(data), 100)]
    ihdr = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + ihdr + b"".join(parts) + chunk(b"IEND", b""))
    np.testing.assert_array_equal(read_image(path), rgb)


def test_large_images_need_many_stored_blocks(tmp_path):
    pixels = np.random.default_rng(2).integers(0, 255, (300, 401, 3), np.uint8)
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    np.testing.assert_array_equal(read_image(path), pixels)


@pytest.mark.parametrize(("dpi", "expected"), [(72, None), (300, None), (101_600, 0.25), (25_400, 1.0)])
def test_resolution_counts_only_where_a_microscope_can_have_made_it(dpi, expected, rgb, write):
    mpp = read_header(write("a.png", rgb, dpi=(dpi, dpi))).mpp
    assert mpp == (expected if expected is None else pytest.approx(expected, rel=1e-3))


def test_uneven_resolution_is_not_trusted(rgb, write):
    assert read_header(write("a.png", rgb, dpi=(101_600, 50_800))).mpp is None


def test_header_says_what_is_in_the_file(rgb, write):
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "x" * 10_000, zip=True)
    path = write("a.png", rgb, pnginfo=info, icc_profile=b"not a real profile")
    header = read_header(path)
    assert (header.format, header.size, header.mode, header.bits, header.lossy) == ("PNG", (97, 61), "rgb", 8, False)
    assert "embedded colour profile not applied" in header.notes


def test_how_far_deep_samples_reach_is_known(tmp_path):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.full((9, 8, 3), 4080, np.uint16))
    with open_slide(path) as reader:
        assert (reader.samples.highest, reader.samples.full_scale) == (4080, 65_535)
        assert "samples reach only 4080 of 65535" in reader.notes


def test_the_first_frame_of_an_animation_is_taken(rgb, write):
    path = write("a.png", rgb, save_all=True, append_images=[Image.fromarray(255 - rgb)])
    np.testing.assert_array_equal(read_image(path), rgb)
    assert omissions(read_header(path).notes) == ("the frames after the first of an animation",)


def test_a_file_of_countless_chunks_is_refused_at_once(tmp_path):
    rows = b"".join(b"\0" + bytes(range(12)) for _ in range(3))
    path = tmp_path / "a.png"
    path.write_bytes(handmade(4, 3, 8, 2, rows, chunk(b"tEXt", b"a\0b") * 5_000))
    assert read_image(path).shape == (3, 4, 3)
    path.write_bytes(handmade(4, 3, 8, 2, rows, chunk(b"tEXt", b"a\0b") * 1_000_000))
    with pytest.raises(SlideUnreadable, match="as no program does"):
        read_image(path)
