from __future__ import annotations

import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from tilewise.errors import SlideUnreadable
from tilewise.slides import open_slide, read_header, read_image


def without_segment(data, marker):
    """The file without its first segment of this marker."""
    start = data.index(bytes([0xFF, marker]))
    length = int.from_bytes(data[start + 2 : start + 4], "big")
    return data[:start] + data[start + 2 + length :]


@pytest.mark.parametrize(
    "options",
    [{}, {"quality": 95, "subsampling": 0}, {"progressive": True}, {"keep_rgb": True}, {"restart_marker_rows": 1}],
)
def test_colour_agrees_with_pillow(options, rgb, write):
    path = write("a.jpg", rgb, **options)
    with Image.open(path) as image:
        np.testing.assert_array_equal(read_image(path), np.asarray(image))


def test_grey_agrees_with_pillow(rgb, write):
    path = write("a.jpg", rgb[:, :, 0])
    with Image.open(path) as image:
        np.testing.assert_array_equal(read_image(path), np.asarray(image.convert("RGB")))
    assert read_header(path).mode == "grey"


def test_adobe_cmyk_is_turned_round(rgb, write):
    path = write("a.jpg", Image.fromarray(rgb).convert("CMYK"), quality=95)
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(read_image(path) - expected).max() <= 1
    assert np.abs(read_image(path).astype(int) - rgb).mean() < 6
    with open_slide(path) as reader:
        assert {"inverted Adobe CMYK", "CMYK converted without a colour profile"} <= set(reader.notes)


def test_cmyk_without_the_adobe_marker_is_not(rgb, write, tmp_path):
    # Pillow writes inks upside down with a marker; upside-down inks less the marker are a plain CMYK file.
    inks = np.asarray(Image.fromarray(rgb).convert("CMYK"))
    adobe = write("adobe.jpg", Image.frombytes("CMYK", (97, 61), (255 - inks).tobytes()), quality=95)
    path = tmp_path / "plain.jpg"
    path.write_bytes(without_segment(adobe.read_bytes(), 0xEE))
    assert np.abs(read_image(path).astype(int) - rgb).mean() < 6
    with open_slide(path) as reader:
        assert "inverted Adobe CMYK" not in reader.notes


def test_ycck_agrees_with_pillow(rgb, tmp_path):
    inks = np.asarray(Image.fromarray(rgb).convert("CMYK"))
    data = imagecodecs.jpeg8_encode(255 - inks, level=95, colorspace="CMYK", outcolorspace="YCCK")
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(read_image(path) - expected).max() <= 1


def test_twelve_bits_are_scaled(tmp_path):
    deep = np.repeat(np.linspace(0, 4095, 64).astype(np.uint16)[np.newaxis], 64, axis=0)
    path = tmp_path / "a.jpg"
    path.write_bytes(imagecodecs.jpeg8_encode(deep, level=98, bitspersample=12))
    assert np.abs(read_image(path)[:, :, 0] - np.floor(deep / 4095 * 255 + 0.5)).max() <= 1
    with open_slide(path) as reader:
        assert "12-bit samples scaled to 8 bits" in reader.notes


def test_the_end_marker_of_a_thumbnail_is_not_the_end_of_the_file(rgb, write):
    small = io.BytesIO()
    Image.fromarray(rgb[:16, :16]).save(small, "JPEG")
    path = write("a.jpg", rgb, exif=b"Exif\0\0" + small.getvalue(), quality=95)
    data = path.read_bytes()
    assert data.count(b"\xff\xd9") == 2
    read_image(path)
    path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(SlideUnreadable, match=r"a\.jpg.*broken off.*Copy it again"):
        read_image(path)


def test_bytes_after_the_end_do_not_matter(rgb, write):
    path = write("a.jpg", rgb)
    before = read_image(path)
    path.write_bytes(path.read_bytes() + b"trailer of a camera")
    np.testing.assert_array_equal(read_image(path), before)


def test_a_tail_of_zeros_is_noticed(rgb, write):
    path = write("a.jpg", rgb, quality=95)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))
    with pytest.raises(SlideUnreadable, match="broken off"):
        read_image(path)


@pytest.mark.parametrize(("dpi", "expected"), [(72, None), (25_400, 1.0), (50_800, 0.5)])
def test_resolution(dpi, expected, rgb, write):
    mpp = read_header(write("a.jpg", rgb, dpi=(dpi, dpi))).mpp
    assert mpp == (expected if expected is None else pytest.approx(expected, rel=1e-3))
    assert read_header(write("a.jpg", rgb)).lossy


def test_the_first_of_several_pictures_is_taken_and_said(rgb, tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(rgb).save(path, "MPO", save_all=True, append_images=[Image.fromarray(255 - rgb)], quality=95)
    assert np.abs(read_image(path).astype(int) - rgb).mean() < 8
    assert "the first of several pictures in the file taken" in read_header(path).notes
