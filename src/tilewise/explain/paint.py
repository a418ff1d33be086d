"""From tiles to one map in the frame of the slide."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.tiles.window import Boxes
from tilewise.units import Size

Map = npt.NDArray[np.float32]


def paint(values_THW: Map, boxes: Boxes, fields: Boxes, *, size: Size, canvas: Size) -> Map:
    """One map of a slide: tiles at their boxes, averaged where they overlap; nan where there is none.

    Args:
        values_THW: what is painted over each tile's field, (T, 1, 1) for one value a tile; between the middles of its
            cells it is interpolated.
        boxes: int64 (T, 4) as x, y, width, height in level-0 pixels, inside the slide: where it is painted.
        fields: int64 (T, 4), likewise: what the tile's values cover; it may reach beyond the slide.
        size: of the slide.
        canvas: of the map.

    Returns:
        float32 (H, W) of the canvas's size.
    """
    sums_HW = np.zeros((canvas.height, canvas.width), np.float64)
    counts_HW = np.zeros((canvas.height, canvas.width), np.int64)
    for values_HW, box, field in zip(values_THW, boxes.tolist(), fields.tolist(), strict=True):
        columns = _pixels(box[0], box[2], size.width, canvas.width)
        rows = _pixels(box[1], box[3], size.height, canvas.height)
        x_W = _cells(columns, field[0], field[2], values_HW.shape[1], size.width / canvas.width)
        y_H = _cells(rows, field[1], field[3], values_HW.shape[0], size.height / canvas.height)
        sums_HW[rows, columns] += cv2.remap(
            values_HW.astype(np.float32), *np.meshgrid(x_W, y_H), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        counts_HW[rows, columns] += 1
    painted_HW = np.full(sums_HW.shape, np.nan, np.float32)
    np.divide(sums_HW, counts_HW, out=painted_HW, where=counts_HW > 0, casting="same_kind")
    return painted_HW


def _pixels(start: int, length: int, side: int, canvas: int) -> slice:
    """Pixels of the canvas that a stretch of the slide covers, one at least."""
    first = min(round(start * canvas / side), canvas - 1)
    return slice(first, max(first + 1, round((start + length) * canvas / side)))


def _cells(pixels: slice, start: int, length: int, num_cells: int, step: float) -> npt.NDArray[np.float32]:
    """Where the middles of pixels of the canvas lie among the cells of a field; the middle of the first cell is 0."""
    middles = (np.arange(pixels.start, pixels.stop) + 0.5) * step
    return ((middles - start) / length * num_cells - 0.5).clip(0, num_cells - 1).astype(np.float32)
