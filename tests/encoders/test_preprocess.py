"""Tiles to squares and batches."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewise.encoders import find_card
from tilewise.encoders.preprocess import batches, check_tiles, normalisation, resize_tile, resize_tiles


@given(height=st.integers(1, 70), width=st.integers(1, 70), side=st.integers(1, 40), seed=st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_any_tile_becomes_a_square(height: int, width: int, side: int, seed: int) -> None:
    tile = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    resized = resize_tile(tile, side)
    assert resized.shape == (side, side, 3)
    assert resized.dtype == np.uint8
    flat = np.full_like(tile, 77)
    assert (resize_tile(flat, side) == 77).all()


def test_shrinking_averages_by_area() -> None:
    tile = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    means = tile.reshape(16, 4, 16, 6, 3).mean(axis=(1, 3))
    assert np.abs(resize_tile(tile, 16) - means).max() <= 0.5


def test_growing_is_cubic() -> None:
    tile = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    assert np.array_equal(resize_tile(tile, 40), cv2.resize(tile, (40, 40), interpolation=cv2.INTER_CUBIC))


def test_the_right_size_is_not_copied() -> None:
    tiles = np.zeros((3, 8, 8, 3), np.uint8)
    assert resize_tiles(tiles, 8) is tiles


@pytest.mark.parametrize("num_tiles", [0, 1, 3, 4, 5, 8, 9])
def test_batches_are_full_and_in_order(num_tiles: int) -> None:
    tiles = np.random.default_rng(0).integers(1, 256, (num_tiles, 6, 6, 3), dtype=np.uint8)
    joined = np.zeros_like(tiles)
    parts = list(batches(tiles, 6, 4))
    assert len(parts) == -(-num_tiles // 4)
    for rows, batch in parts:
        assert batch.shape == (4, 6, 6, 3)
        assert batch.flags["C_CONTIGUOUS"]
        length = rows.stop - rows.start
        joined[rows] = batch[:length]
        assert not batch[length:].any()
    assert np.array_equal(joined, tiles)


def test_an_error_while_resizing_reaches_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr("tilewise.encoders.preprocess.resize_tiles", fail)
    with pytest.raises(MemoryError, match="no room"):
        list(batches(np.zeros((3, 8, 8, 3), np.uint8), 4, 2))


def test_normalisation_is_on_the_scale_of_pixels() -> None:
    mean, std = normalisation(find_card("resnet50"))
    np.testing.assert_allclose(mean, [123.675, 116.28, 103.53], rtol=1e-6)
    np.testing.assert_allclose(std, [58.395, 57.12, 57.375], rtol=1e-6)


@pytest.mark.parametrize(
    "tiles",
    [
        np.zeros((3, 8, 8), np.uint8),
        np.zeros((3, 8, 8, 4), np.uint8),
        np.zeros((3, 8, 8, 3)),
        np.zeros((3, 0, 8, 3), np.uint8),
    ],
    ids=str,
)
def test_what_is_no_stack_of_tiles(tiles: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"uint8 of shape \(N, H, W, 3\)"):
        check_tiles(tiles)
