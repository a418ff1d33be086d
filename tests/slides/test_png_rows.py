from __future__ import annotations

import struct
import zlib

import cv2
import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewise.slides import read_samples
from tilewise.slides.png_rows import unfilter


def _filtered(pixels, kinds):
    """Rows as PNG stores them, each with its own filter; written from the specification, section 9.2."""
    height, width, num_channels = pixels.shape
    rows = np.empty((height, 1 + width * num_channels), np.uint8)
    above = np.zeros((width, num_channels), np.int64)
    for row, kind in enumerate(kinds):
        here = pixels[row].astype(np.int64)
        left = np.vstack([np.zeros((1, num_channels), np.int64), here[:-1]])
        corner = np.vstack([np.zeros((1, num_channels), np.int64), above[:-1]])
        expected = {0: np.zeros_like(here), 1: left, 2: above, 3: (left + above) // 2}.get(kind)
        if kind == 4:
            distances = np.abs(left + above - corner - np.stack([left, above, corner]))
            expected = np.choose(distances.argmin(axis=0), [left, above, corner])  # the first of equals
        rows[row, 0] = kind
        rows[row, 1:] = ((here - expected) & 255).astype(np.uint8).ravel()
        above = here
    return rows


def _png(rows, width, color):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, len(rows), 8, color, 0, 0, 0)
    body = zlib.compress(rows.tobytes(), 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@given(
    seed=st.integers(0, 2**32 - 1),
    width=st.integers(1, 40),
    num_channels=st.sampled_from([1, 3, 4]),
    kinds=st.lists(st.sampled_from([0, 1, 2]), min_size=1, max_size=30),
    stretch=st.integers(1, 4),
)
@settings(deadline=None, max_examples=150)
def test_sums_are_undone_as_the_library_does(seed, width, num_channels, kinds, stretch, tmp_path_factory):
    kinds = list(np.repeat(kinds, stretch))  # runs, as encoders make them
    pixels = np.random.default_rng(seed).integers(0, 256, (len(kinds), width, num_channels), np.uint8)
    rows = _filtered(pixels, kinds)
    unfiltered = unfilter(rows, num_channels=num_channels)
    if unfiltered is not None:
        np.testing.assert_array_equal(unfiltered, pixels)
    data = _png(rows, width, {1: 0, 3: 2, 4: 6}[num_channels])
    path = tmp_path_factory.mktemp("png") / "a.png"
    path.write_bytes(data)
    samples = read_samples(path).pixels
    np.testing.assert_array_equal(samples.reshape(pixels.shape), pixels)
    np.testing.assert_array_equal(samples, imagecodecs.png_decode(data))


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_rows_of_one_kind_are_undone_here(kind):
    pixels = np.random.default_rng(kind).integers(0, 256, (9, 7, 3), np.uint8)
    np.testing.assert_array_equal(unfilter(_filtered(pixels, [kind] * 9), num_channels=3), pixels)


@given(
    seed=st.integers(0, 2**32 - 1),
    kinds=st.lists(st.sampled_from([0, 1, 2, 4, 4, 4]), min_size=1, max_size=20),
    num_spots=st.integers(0, 6),
    levels=st.sampled_from([(0, 255), (0, 1, 2), (3, 90, 254)]),
)
@settings(deadline=None, max_examples=150)
def test_masks_with_paeth_rows(seed, kinds, num_spots, levels):
    rng = np.random.default_rng(seed)
    kinds = list(np.repeat(kinds, 3))
    pixels = np.full((len(kinds), 400, 1), levels[0], np.uint8)
    for _ in range(num_spots):
        x, y = rng.integers(0, 400), rng.integers(0, len(kinds))
        pixels[y : y + rng.integers(1, 9), x : x + rng.integers(1, 150)] = rng.choice(levels)
    unfiltered = unfilter(_filtered(pixels, kinds), num_channels=1)
    assert unfiltered is not None
    np.testing.assert_array_equal(unfiltered, pixels)


@pytest.mark.parametrize(("num_channels", "kind"), [(3, 3), (3, 4), (1, 3), (1, 4)])
def test_the_rest_is_left_to_the_library(num_channels, kind, tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (9, 70, num_channels), np.uint8)
    rows = _filtered(pixels, [1] * 8 + [kind])
    assert unfilter(rows, num_channels=num_channels) is None
    path = tmp_path / "a.png"
    path.write_bytes(_png(rows, 70, {1: 0, 3: 2}[num_channels]))
    np.testing.assert_array_equal(read_samples(path).pixels.reshape(pixels.shape), pixels)


def test_a_filter_that_png_does_not_have_is_damage(tmp_path):
    rows = _filtered(np.zeros((4, 5, 1), np.uint8), [0] * 4)
    rows[2, 0] = 9
    path = tmp_path / "img_0007.png"
    path.write_bytes(_png(rows, 5, 0))
    with pytest.raises(Exception, match=r"img_0007\.png"):
        read_samples(path)


def test_what_opencv_writes_comes_back(tmp_path):
    path = str(tmp_path / "a.png")
    for pixels in np.random.default_rng(2).integers(0, 256, (2, 33, 21, 3), np.uint8):
        cv2.imwrite(path, pixels[:, :, ::-1])
        np.testing.assert_array_equal(read_samples(tmp_path / "a.png").pixels, pixels)
        cv2.imwrite(path, pixels[:, :, 0])
        np.testing.assert_array_equal(read_samples(tmp_path / "a.png").pixels, pixels[:, :, 0])
