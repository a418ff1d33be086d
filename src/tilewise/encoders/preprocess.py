"""Tiles to the square a network takes, in whole batches, ahead of the network."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.encoders.card import EncoderCard

Tiles = npt.NDArray[np.uint8]


def check_tiles(tiles_NHWC: Tiles) -> None:
    """Refuse what is no stack of 8-bit RGB tiles.

    Raises:
        ValueError: with the shape and type found.
    """
    if tiles_NHWC.ndim != 4 or tiles_NHWC.shape[3] != 3 or tiles_NHWC.dtype != np.uint8 or 0 in tiles_NHWC.shape[1:]:
        raise ValueError(f"tiles have to be uint8 of shape (N, H, W, 3), not {tiles_NHWC.dtype} {tiles_NHWC.shape}")


def resize_tile(tile_HWC: Tiles, side: int) -> Tiles:
    """A tile as a square of `side` pixels; the same pixels where it is one already.

    What has to shrink is averaged by area, so that nothing is lost between samples; what has to grow is interpolated by
    cubics. A tile that is not square is stretched.
    """
    height, width = tile_HWC.shape[:2]
    small = (min(width, side), min(height, side))
    if small != (width, height):
        tile_HWC = cv2.resize(tile_HWC, small, interpolation=cv2.INTER_AREA)
    if small != (side, side):
        tile_HWC = cv2.resize(tile_HWC, (side, side), interpolation=cv2.INTER_CUBIC)
    return tile_HWC


def resize_tiles(tiles_NHWC: Tiles, side: int) -> Tiles:
    """`resize_tile` for each of a stack; the stack itself where nothing changes."""
    if tiles_NHWC.shape[1:3] == (side, side):
        return tiles_NHWC
    resized = np.empty((len(tiles_NHWC), side, side, 3), np.uint8)
    for index, tile in enumerate(tiles_NHWC):
        resized[index] = resize_tile(tile, side)
    return resized


def normalisation(card: EncoderCard) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Mean and standard deviation per channel on the scale of the pixels, 0..255."""
    return np.array(card.mean, np.float64).astype(np.float32) * 255, np.array(card.std, np.float64).astype(
        np.float32
    ) * 255


def batches(tiles_NHWC: Tiles, side: int, batch_size: int) -> Iterator[tuple[slice, Tiles]]:
    """Resized batches, each of exactly `batch_size` tiles, with the rows they belong to.

    The last one is filled up with black tiles: a network that is always called with one shape gives a tile the same
    bytes whatever stands beside it. The next batch is made while the caller works on this one.
    """
    parts = [slice(start, min(start + batch_size, len(tiles_NHWC))) for start in range(0, len(tiles_NHWC), batch_size)]
    with ThreadPoolExecutor(1, thread_name_prefix="tiles") as pool:
        following = pool.submit(_batch, tiles_NHWC[:batch_size], side, batch_size)
        for part in parts:
            batch = following.result()
            following = pool.submit(_batch, tiles_NHWC[part.stop : part.stop + batch_size], side, batch_size)
            yield part, batch


def _batch(tiles_NHWC: Tiles, side: int, batch_size: int) -> Tiles:
    if not len(tiles_NHWC):
        return tiles_NHWC
    resized = resize_tiles(tiles_NHWC, side)
    if len(resized) == batch_size:
        return np.ascontiguousarray(resized)
    padded = np.zeros((batch_size, side, side, 3), np.uint8)
    padded[: len(resized)] = resized
    return padded
