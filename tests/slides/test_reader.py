from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewise.slides import FlatReader, open_slide, opening
from tilewise.units import Box, Size

PIXELS = np.random.default_rng(6).integers(0, 254, (23, 31, 3), np.uint8)  # never 255, so that padding shows


@given(x=st.integers(-60, 60), y=st.integers(-60, 60), width=st.integers(1, 90), height=st.integers(1, 90))
@settings(deadline=None)
def test_regions_are_slices_of_a_white_plane(x, y, width, height):
    plane = np.full((23 + 300, 31 + 300, 3), 255, np.uint8)
    plane[150 : 150 + 23, 150 : 150 + 31] = PIXELS
    with FlatReader("memory", PIXELS) as reader:
        region = reader.read_region(Box(x, y, width, height))
    np.testing.assert_array_equal(region, plane[150 + y : 150 + y + height, 150 + x : 150 + x + width])


@given(factor=st.integers(2, 5), x=st.integers(-4, 10), y=st.integers(-4, 10))
@settings(deadline=None)
def test_shrinking_averages_areas(factor, x, y):
    reader = FlatReader("memory", PIXELS)
    box = Box(x, y, 6 * factor, 4 * factor)
    small = reader.read_region(box, size=Size(6, 4))
    blocks = reader.read_region(box).reshape(4, factor, 6, factor, 3).astype(float).mean(axis=(1, 3))
    assert np.abs(small - blocks).max() <= 0.51


def test_a_region_is_resized_after_padding_and_may_be_enlarged():
    reader = FlatReader("memory", PIXELS)
    assert (reader.read_region(Box(-100, -100, 50, 50), size=Size(7, 9)) == 255).all()
    large = reader.read_region(Box(2, 3, 5, 5), size=Size(20, 10))
    assert large.shape == (10, 20, 3)
    np.testing.assert_array_equal(large, cv2.resize(PIXELS[3:8, 2:7], (20, 10), interpolation=cv2.INTER_LINEAR))


@given(max_side=st.integers(1, 64))
@settings(deadline=None)
def test_thumbnails_keep_the_aspect_and_never_grow(max_side):
    thumbnail = FlatReader("memory", PIXELS).thumbnail(max_side)
    height, width = thumbnail.shape[:2]
    assert width == min(31, max_side)
    assert abs(height - width * 23 / 31) <= 0.5 or height == 1
    assert thumbnail.dtype == np.uint8


def test_what_is_read_is_ours_to_write_and_the_slide_is_not():
    reader = FlatReader("memory", PIXELS.copy())
    for copy in (reader.read_region(Box(0, 0, 5, 5)), reader.thumbnail(100)):
        copy[:] = 0
    np.testing.assert_array_equal(reader.read_whole(), PIXELS)
    with pytest.raises(ValueError, match="read-only"):
        reader.read_whole()[0, 0] = 0


def test_a_closed_reader_says_so():
    with FlatReader("memory", PIXELS) as reader:
        pass
    for read in (reader.read_whole, lambda: reader.thumbnail(5), lambda: reader.read_region(Box(0, 0, 1, 1))):
        with pytest.raises(ValueError, match=r"memory.*closed"):
            read()


def test_a_slide_is_decoded_once(rgb, write, monkeypatch):
    path = write("a.png", rgb)
    calls = []
    real = opening._decode
    monkeypatch.setattr(opening, "_decode", lambda *args: calls.append(args) or real(*args))
    with open_slide(path) as reader:
        for x in range(20):
            np.testing.assert_array_equal(reader.read_region(Box(x, 0, 9, 9)), rgb[:9, x : x + 9])
        reader.thumbnail(10)
    assert len(calls) == 1
