from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from tilewise.errors import SlideUnreadable
from tilewise.slides import read_header, read_image


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_modes_agree_with_pillow(mode, rgb, write):
    image = Image.fromarray(rgb).convert(mode)
    np.testing.assert_array_equal(read_image(write("a.bmp", image)), np.asarray(image.convert("RGB")))


def test_opencv_reads_the_same(rgb, write):
    path = write("a.bmp", rgb)
    np.testing.assert_array_equal(read_image(path), cv2.imread(str(path))[:, :, ::-1])
    assert read_header(path).size == (97, 61)


def test_rows_from_the_top(rgb, write):
    path = write("a.bmp", rgb)
    data = bytearray(path.read_bytes())
    struct.pack_into("<i", data, 22, -61)
    path.write_bytes(data)
    np.testing.assert_array_equal(read_image(path), rgb[::-1])
    assert read_header(path).size == (97, 61)


def test_resolution(rgb, write):
    assert read_header(write("a.bmp", rgb, dpi=(101_600, 101_600))).mpp == pytest.approx(0.25, rel=1e-3)
    assert read_header(write("a.bmp", rgb)).mpp is None


@pytest.mark.parametrize("num_bytes", [10, 30, 60, 5000])
def test_a_short_file_is_broken_off(num_bytes, rgb, write):
    path = write("a.bmp", rgb)
    path.write_bytes(path.read_bytes()[:num_bytes])
    with pytest.raises(SlideUnreadable, match=r"a\.bmp.*broken off"):
        read_image(path)
