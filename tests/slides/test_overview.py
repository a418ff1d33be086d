import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.slides.conftest import scene
from tests.slides.pyramids import halved, write_pyramid
from tilewise.slides import FlatReader, open_slide, overview_factor, overview_size, pyramid
from tilewise.slides import overview as overview_module
from tilewise.units import Size

SMOOTH = cv2.GaussianBlur(scene(320, 200), (0, 0), 3)


@given(width=st.integers(1, 300_000), height=st.integers(1, 300_000))
@settings(deadline=None, max_examples=200)
def test_the_overview_is_the_largest_within_the_limit_and_covers_the_slide(width, height):
    size = Size(width, height)
    factor, small = overview_factor(size), overview_size(size)
    assert small.area <= 100_000_000
    assert small.width * factor >= width > (small.width - 1) * factor
    assert small.height * factor >= height > (small.height - 1) * factor
    assert factor == 1 or overview_size(size, factor // 2).area > 100_000_000
    assert factor & (factor - 1) == 0


@pytest.mark.parametrize("times", [0, 1, 2])
def test_a_large_slide_is_looked_at_reduced_whatever_levels_it_has(times, tmp_path, monkeypatch):
    monkeypatch.setattr(overview_module, "OVERVIEW_PIXELS", 10_000)
    monkeypatch.setattr(pyramid, "_BAND_PIXELS", 3_000)
    path = write_pyramid(tmp_path / "a.tif", halved(SMOOTH, times=times))
    flat = FlatReader(path, SMOOTH).overview()
    with open_slide(path, max_pixels=1) as reader:
        small = reader.overview()
    assert small.shape == flat.shape == (50, 80, 3)
    # Of a level that is reduced already, and in bands, pixels are means of means.
    assert np.abs(small.astype(int) - flat).max() <= 3


def test_bands_join_without_a_seam(tmp_path, monkeypatch):
    path = write_pyramid(tmp_path / "a.tif", [SMOOTH])
    with open_slide(path) as reader:
        at_once = reader.thumbnail(80)
        monkeypatch.setattr(pyramid, "_BAND_PIXELS", 320 * 8)
        np.testing.assert_array_equal(reader.thumbnail(80), at_once)
