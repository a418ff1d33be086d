"""Tiles by a sliding window."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.slides import overview_factor
from tilewise.units import Box, Size

Boxes = npt.NDArray[np.int64]
Ratios = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Frame:
    """How a mask lies on its slide.

    Attributes:
        size: of the slide, level 0.
        factor: level-0 pixels along the side of one pixel of the mask.
    """

    size: Size
    factor: int = 1

    @classmethod
    def of_slide(cls, size: Size) -> Self:
        """Of the masks of a slide of this size, which have that of its overview."""
        return cls(size, overview_factor(size))

    @classmethod
    def of_mask(cls, mask: Mask) -> Self:
        """Of a mask as large as its slide."""
        return cls(Size(mask.shape[1], mask.shape[0]))

    def scaled(self, box: Box) -> Box:
        """A box of the mask in level-0 pixels, inside the slide."""
        if self.factor == 1:
            return box
        scaled = Box(*(self.factor * value for value in (box.x, box.y, box.width, box.height))).clip(self.size)
        assert scaled is not None  # every pixel of the mask holds some of the slide
        return scaled

    def cut(self, mask: Mask, box: Box) -> Mask:
        """The mask under a box inside the slide, in level-0 pixels; bool (height, width)."""
        if self.factor == 1:
            return mask[box.rows, box.columns]
        rows, columns = np.arange(box.y, box.bottom), np.arange(box.x, box.right)
        return mask[np.ix_(rows // self.factor, columns // self.factor)]


def window_tiles(
    mask: Mask,
    size_l0: int,
    *,
    stride_l0: int,
    min_ratio: float,
    over: Iterable[Box] | None = None,
    frame: Frame | None = None,
) -> tuple[Boxes, Ratios]:
    """Slide a square window over the mask and keep it where the mask covers enough.

    The grid starts at the top-left corner of the area it slides over; a last row and column flush with the far edges
    make sure that no pixel is out of reach. An area narrower than the window gets one in its middle, moved onto the
    slide; on a slide smaller than the window the tile is as large as the slide.

    Args:
        mask: bool (H, W).
        size_l0: side of the window, in level-0 pixels.
        stride_l0: step in both directions, likewise.
        min_ratio: smallest share of the window that the mask covers; 0 keeps every window it touches.
        over: areas inside the slide; None slides over all of it.
        frame: how the mask lies on the slide; None where it is as large.

    Returns:
        Boxes, int64 (N, 4) as x, y, width, height, ordered by y, then x, no two equal; and the share of each that the
        mask covers.
    """
    frame = frame or Frame.of_mask(mask)
    width, height = frame.size
    tile = Size(min(size_l0, width), min(size_l0, height))
    if over is None and frame.factor == 1:
        xs, ys = window_starts(width, tile.width, stride_l0), window_starts(height, tile.height, stride_l0)
        edges = np.union1d(ys, ys + tile.height)
        rows = _rows_of_table(mask, edges)
        top, bottom = rows[np.searchsorted(edges, ys)], rows[np.searchsorted(edges, ys + tile.height)]
        return _covered_windows(top, bottom, xs, ys, tile, min_ratio)
    # One summed-area table makes every window cost four look-ups, whatever its size or overlap.
    table = covered_table(mask)
    windows = []
    for area in [Box(0, 0, width, height)] if over is None else over:
        xs = _starts_over(area.x, area.width, tile.width, stride_l0, width)
        ys = _starts_over(area.y, area.height, tile.height, stride_l0, height)
        if frame.factor == 1:
            boxes, ratios = _covered_windows(table[ys], table[ys + tile.height], xs, ys, tile, min_ratio)
        else:
            boxes, ratios = _covered_reduced(table, frame, xs, ys, tile, min_ratio)
        windows.append(np.column_stack([boxes, ratios]))
    joined = np.concatenate(windows) if windows else np.empty((0, 5))
    # Areas may overlap; by y, then x.
    _, first = np.unique(joined[:, [1, 0]], axis=0, return_index=True)
    return joined[first, :4].astype(np.int64), joined[first, 4]


def window_starts(length: int, side: int, stride: int) -> npt.NDArray[np.int64]:
    """Where windows of this side start along an axis: 0, stride, ... and flush with the end."""
    starts = np.arange(0, length - side + 1, stride, dtype=np.int64)
    if starts[-1] != length - side:
        starts = np.append(starts, length - side)
    return starts


def covered_table(mask: Mask) -> npt.NDArray[np.int32]:
    """Summed-area table of a mask, int32 (H + 1, W + 1)."""
    table: npt.NDArray[np.int32] = cv2.integral(np.ascontiguousarray(mask).view(np.uint8))
    return table


def covered_by(table: npt.NDArray[np.int32], boxes: Boxes, frame: Frame | None = None) -> Ratios:
    """Share of each box, int64 (N, 4) inside the slide, that the mask covers; from its `covered_table`.

    A pixel of a reduced mask stands for a square of level-0 pixels, of which a box may take a part.
    """
    x, y, width, height = boxes.T
    right, bottom = x + width, y + height
    if frame is None or frame.factor == 1:
        covered: npt.NDArray[Any] = table[bottom, right] - table[bottom, x] - table[y, right] + table[y, x]
    else:
        corners = ((bottom, right, 1), (bottom, x, -1), (y, right, -1), (y, x, 1))
        sums = sum(sign * _between(table, one / frame.factor, two / frame.factor) for one, two, sign in corners)
        covered = np.rint(np.asarray(sums) * frame.factor**2)
    ratios: Ratios = covered / (width * height)
    return ratios


def _between(
    table: npt.NDArray[np.int32], rows: npt.NDArray[np.float64], columns: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """A summed-area table at fractions of pixels, where it is bilinear between its entries."""
    last = table.shape[0] - 1, table.shape[1] - 1
    row, column = rows.astype(np.int64), columns.astype(np.int64)
    below, right = np.minimum(row + 1, last[0]), np.minimum(column + 1, last[1])
    down, across = rows - row, columns - column
    upper = table[row, column] * (1 - across) + table[row, right] * across
    lower = table[below, column] * (1 - across) + table[below, right] * across
    between: npt.NDArray[np.float64] = upper * (1 - down) + lower * down
    return between


def _starts_over(start: int, length: int, side: int, stride: int, end: int) -> npt.NDArray[np.int64]:
    if length > side:
        return start + window_starts(length, side, stride)
    return np.array([min(max(start + (length - side) // 2, 0), end - side)], dtype=np.int64)


def _rows_of_table(mask: Mask, edges: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """Some rows of the `covered_table`, int32 (N, W + 1), without the memory that all of it takes."""
    plane = np.ascontiguousarray(mask).view(np.uint8)
    rows = np.zeros((len(edges), mask.shape[1] + 1), dtype=np.int32)
    above = np.zeros(mask.shape[1], dtype=np.int32)
    for row, (start, stop) in zip(rows, pairwise([0, *edges.tolist()]), strict=True):
        if stop > start:
            above += cv2.reduce(plane[start:stop], 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S)[0]
        np.cumsum(above, out=row[1:])
    return rows


def _covered_windows(
    top: npt.NDArray[np.int32],
    bottom: npt.NDArray[np.int32],
    xs: npt.NDArray[np.int64],
    ys: npt.NDArray[np.int64],
    tile: Size,
    min_ratio: float,
) -> tuple[Boxes, Ratios]:
    """The windows that hold enough, from the rows of the table above and below each row of windows."""
    covered = bottom[:, xs + tile.width] - bottom[:, xs] - top[:, xs + tile.width] + top[:, xs]
    ratios = covered / (tile.width * tile.height)
    rows, columns = np.nonzero((ratios >= min_ratio) & (covered > 0))
    boxes = np.empty((rows.size, 4), dtype=np.int64)
    boxes[:, 0], boxes[:, 1], boxes[:, 2], boxes[:, 3] = xs[columns], ys[rows], tile.width, tile.height
    return boxes, ratios[rows, columns].astype(np.float64)


def _covered_reduced(
    table: npt.NDArray[np.int32],
    frame: Frame,
    xs: npt.NDArray[np.int64],
    ys: npt.NDArray[np.int64],
    tile: Size,
    min_ratio: float,
) -> tuple[Boxes, Ratios]:
    """As `_covered_windows`, by a reduced mask; a row of windows at a time."""
    rows = []
    for y in ys.tolist():
        boxes = np.empty((len(xs), 4), dtype=np.int64)
        boxes[:, 0], boxes[:, 1], boxes[:, 2], boxes[:, 3] = xs, y, tile.width, tile.height
        ratios = covered_by(table, boxes, frame)
        enough = (ratios >= min_ratio) & (ratios > 0)
        rows.append((boxes[enough], ratios[enough]))
    return np.concatenate([boxes for boxes, _ in rows]), np.concatenate([ratios for _, ratios in rows])
