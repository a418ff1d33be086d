"""Tiles by a sliding window."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.units import Size

Boxes = npt.NDArray[np.int64]
Ratios = npt.NDArray[np.float64]


def window_tiles(mask: npt.NDArray[np.bool_], side: int, *, stride: int, min_ratio: float) -> tuple[Boxes, Ratios]:
    """Slide a square window over the mask and keep it where the mask covers enough.

    The grid starts at the slide's top-left corner; a last row and column flush with the far edges make sure that no
    pixel is out of reach. On a slide smaller than the window the tile is as large as the slide.

    Args:
        mask: bool (H, W).
        side: of the window, in level-0 pixels.
        stride: step in both directions.
        min_ratio: smallest share of the window that the mask covers; 0 keeps every window it touches.

    Returns:
        Boxes, int64 (N, 4) as x, y, width, height, ordered by y, then x; and the share of each that the mask covers.
    """
    height, width = mask.shape
    tile = Size(min(side, width), min(side, height))
    xs, ys = window_starts(width, tile.width, stride), window_starts(height, tile.height, stride)
    # One summed-area table makes every window cost four look-ups, whatever its size or overlap.
    table = cv2.integral(mask.view(np.uint8))
    top, bottom = table[ys], table[ys + tile.height]
    covered = bottom[:, xs + tile.width] - bottom[:, xs] - top[:, xs + tile.width] + top[:, xs]
    ratios = covered / (tile.width * tile.height)
    rows, columns = np.nonzero((ratios >= min_ratio) & (covered > 0))
    boxes = np.empty((rows.size, 4), dtype=np.int64)
    boxes[:, 0], boxes[:, 1], boxes[:, 2], boxes[:, 3] = xs[columns], ys[rows], tile.width, tile.height
    return boxes, ratios[rows, columns].astype(np.float64)


def window_starts(length: int, side: int, stride: int) -> npt.NDArray[np.int64]:
    """Where windows of this side start along an axis: 0, stride, ... and flush with the end."""
    starts = np.arange(0, length - side + 1, stride, dtype=np.int64)
    if starts[-1] != length - side:
        starts = np.append(starts, length - side)
    return starts
