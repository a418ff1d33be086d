from __future__ import annotations

import io
import struct
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from tilewise.errors import SlideTooLarge, SlideUnreadable
from tilewise.slides import open_slide, pixel_digest, read_header, read_image, rgb_digest


def test_the_bytes_decide_not_the_suffix(rgb, write):
    path = write("really_png.png", rgb).rename(write("x.jpg", rgb))
    with open_slide(path) as reader:
        np.testing.assert_array_equal(reader.read_whole(), rgb)
        assert "named .jpg but holds PNG" in reader.notes
    assert read_header(path).format == "PNG"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"GIF89a" + bytes(50), "a GIF image"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "a WebP image"),
        (b"<!DOCTYPE html><html>404", "HTML page"),
        (b"%PDF-1.7", "a PDF"),
        (b"PK\x03\x04", "a ZIP"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        (bytes(1000), "a file of zeros"),
        (b"hello", "of an unknown format"),
        (bytes(128) + b"DICM", "a DICOM file"),
    ],
)
def test_what_is_no_image_is_named(content, message, tmp_path):
    path = tmp_path / "img_0007.png"
    path.write_bytes(content)
    for function in (open_slide, read_header, read_image, pixel_digest):
        with pytest.raises(SlideUnreadable, match=message) as caught:
            function(path)
        assert "img_0007.png" in str(caught.value)


def test_paths_that_are_no_files(tmp_path):
    with pytest.raises(SlideUnreadable, match=r"gone\.png: no such file"):
        open_slide(tmp_path / "gone.png")
    with pytest.raises(SlideUnreadable, match="is a folder"):
        open_slide(tmp_path)


def test_a_file_that_may_not_be_read(rgb, write, monkeypatch):
    path = write("a.png", rgb)

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root may read everything, so the refusal is staged
    with pytest.raises(SlideUnreadable, match="permissions"):
        open_slide(path)


def _png_bomb(side):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    ihdr = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1 << 20), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", ihdr) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def _jpeg_bomb(side):
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "JPEG")
    data = bytearray(stream.getvalue())
    struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, side, side)
    return bytes(data)


def _bmp_bomb(side):
    return b"BM" + bytes(8) + struct.pack("<IIiiHHIIiiII", 54, 40, side, side, 1, 24, 1, 0, 0, 0, 0, 0)


def _tiff_bomb(side):
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.zeros((16, 16, 3), np.uint8), photometric="rgb", compression="zlib", tile=(16, 16))
    stream.seek(0)
    with tifffile.TiffFile(stream, mode="r+") as file:
        for name in ("ImageWidth", "ImageLength"):
            file.pages.first.tags[name].overwrite(side, dtype="I")
        return stream.getvalue()


@pytest.mark.parametrize("bomb", [_png_bomb, _jpeg_bomb, _bmp_bomb])
def test_absurd_sizes_are_refused_by_the_header(bomb, tmp_path):
    path = tmp_path / "bomb.img"
    path.write_bytes(bomb(30_000))
    assert read_header(path).size == (30_000, 30_000)
    for function in (open_slide, read_image, pixel_digest):
        with pytest.raises(SlideTooLarge, match=r"bomb\.img: 30000 x 30000 .* 900.0 megapixels.*max_pixels"):
            function(path)


def test_a_tiled_tiff_that_lists_too_few_tiles_is_refused_by_the_header(tmp_path):
    path = tmp_path / "bomb.img"
    path.write_bytes(_tiff_bomb(30_000))
    assert read_header(path).size == (30_000, 30_000)
    for function in (open_slide, read_image, pixel_digest):
        with pytest.raises(SlideUnreadable, match=r"bomb\.img.* 1 of 3515625 tiles are listed"):
            function(path)


def test_the_limit_is_the_callers(rgb, write):
    path = write("a.png", rgb)
    open_slide(path, max_pixels=97 * 61).close()
    with pytest.raises(SlideTooLarge):
        open_slide(path, max_pixels=97 * 61 - 1)


@pytest.mark.parametrize("name", ["a.bmp", "b.tif", "c.PNG"])
def test_the_digest_is_that_of_the_pixels(name, rgb, write):
    first = write("first.png", rgb)
    again = write(name, rgb, dpi=(300, 300))
    assert pixel_digest(first) == pixel_digest(again) == rgb_digest(rgb)
    rgb[5, 7, 1] ^= 1
    assert pixel_digest(write("other.png", rgb)) != pixel_digest(first)


def test_the_digest_knows_the_shape():
    pixels = np.zeros((6, 4, 3), np.uint8)
    assert rgb_digest(pixels) != rgb_digest(pixels.reshape(4, 6, 3))


def test_threads_do_not_share_scratch_memory(write):
    rng = np.random.default_rng(8)
    pictures = [rng.integers(0, 255, (200 + 10 * i, 300, 3), np.uint8) for i in range(4)]
    paths = [write(f"{i}.png", picture) for i, picture in enumerate(pictures)]
    wrong = []

    def work(index):
        wrong.extend(index for _ in range(15) if not np.array_equal(read_image(paths[index]), pictures[index]))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
