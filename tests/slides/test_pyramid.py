from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.slides.conftest import scene
from tests.slides.pyramids import halved, write_pyramid
from tilewise.slides import FlatReader, open_slide
from tilewise.slides.pyramid import PyramidReader
from tilewise.units import Box, Size

SMOOTH = cv2.GaussianBlur(scene(264, 200), (0, 0), 3)
LEVELS = halved(SMOOTH, times=3)
SLOPE = np.stack(np.broadcast_arrays(np.arange(200)[:, None], np.arange(264)[None] // 2, 7), axis=-1).astype(np.uint8)


class Remembered:
    """Levels in memory, and which of them were read."""

    def __init__(self, levels):
        self.levels, self.asked = levels, []
        self.sizes = tuple(Size(level.shape[1], level.shape[0]) for level in levels)
        self.notes = ()

    def read(self, level, box):
        assert box.inside(self.sizes[level])
        self.asked.append(level)
        return self.levels[level][box.rows, box.columns].copy()

    def close(self):
        pass


@pytest.fixture
def source():
    return Remembered(LEVELS)


@pytest.mark.parametrize(("side", "level"), [(160, 0), (100, 0), (81, 0), (80, 1), (41, 1), (40, 2), (20, 3), (3, 3)])
def test_the_coarsest_level_with_enough_pixels_is_read(side, level, source):
    with PyramidReader("memory", source) as reader:
        reader.read_region(Box(20, 10, 160, 160), size=Size(side, side))
    assert source.asked == [level]


def test_the_direction_that_shrinks_less_decides(source):
    with PyramidReader("memory", source) as reader:
        small = reader.read_region(Box(0, 0, 240, 80), size=Size(30, 40))
    assert source.asked == [1]
    assert small.shape == (40, 30, 3)


@given(
    x=st.integers(0, 164), y=st.integers(0, 100), width=st.integers(16, 100), height=st.integers(16, 100),
    shrink=st.floats(1, 8),
)  # fmt: skip
@settings(deadline=None, max_examples=80)
def test_a_level_shows_what_level_0_shows(x, y, width, height, shrink):
    box = Box(x, y, width, height)
    size = Size(max(2, int(width / shrink)), max(2, int(height / shrink)))
    flat = FlatReader("memory", SLOPE).read_region(box, size=size).astype(int)
    region = PyramidReader("memory", Remembered(halved(SLOPE, times=3))).read_region(box, size=size).astype(int)
    # The edges of a box are rounded to the level's pixels, none larger than a pixel of the result; one grey level a
    # pixel of level 0, and two for rounding.
    assert np.abs(region - flat).max() <= 0.5 * max(width / size.width, height / size.height) + 2


@given(max_side=st.integers(1, 400))
@settings(deadline=None, max_examples=40)
def test_thumbnails_are_as_large_as_those_of_flat_slides(max_side):
    flat = FlatReader("memory", SMOOTH).thumbnail(max_side)
    region = PyramidReader("memory", Remembered(LEVELS)).thumbnail(max_side)
    assert region.shape == flat.shape
    assert np.abs(region.astype(int) - flat).mean() < 4


def test_reading_the_whole_does_not_change_what_is_read_after(source):
    with PyramidReader("memory", source) as reader:
        boxes = [(Box(3, 5, 100, 90), None), (Box(3, 5, 100, 90), Size(25, 22)), (Box(-9, 150, 70, 70), None)]
        before = [reader.read_region(box, size=size) for box, size in boxes]
        whole = reader.read_whole()
        np.testing.assert_array_equal(whole, SMOOTH)
        with pytest.raises(ValueError, match="read-only"):
            whole[0, 0] = 0
        for (box, size), expected in zip(boxes, before, strict=True):
            again = reader.read_region(box, size=size)
            np.testing.assert_array_equal(again, expected)
            again[:] = 0
        np.testing.assert_array_equal(reader.read_whole(), SMOOTH)


def test_a_closed_reader_says_so(source):
    with PyramidReader("memory", source) as reader:
        reader.read_whole()
    for read in (reader.read_whole, lambda: reader.thumbnail(5), lambda: reader.read_region(Box(0, 0, 1, 1))):
        with pytest.raises(ValueError, match=r"memory.*closed"):
            read()


def test_x_is_across_and_y_is_down_on_every_level(tmp_path):
    rgb = np.zeros((96, 320, 3), np.uint8)
    rgb[:, :, 0] = np.linspace(0, 250, 320).astype(np.uint8)[None]
    rgb[:, :, 1] = np.linspace(0, 250, 96).astype(np.uint8)[:, None]
    path = write_pyramid(tmp_path / "a.tif", halved(rgb, times=3), tile=(16, 64))
    with open_slide(path) as reader:
        assert reader.levels == ((320, 96), (160, 48), (80, 24), (40, 12))
        for factor in (1, 2, 4, 8):
            small = reader.read_region(Box(160, 24, 80, 48), size=Size(80 // factor, 48 // factor))
            assert small.shape == (48 // factor, 80 // factor, 3)
            expected = rgb[24:72, 160:240].reshape(48 // factor, factor, 80 // factor, factor, 3).mean(axis=(1, 3))
            assert np.abs(small - expected).max() <= 2
