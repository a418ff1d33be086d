"""Squares inside regions, mirrored texture and soft edges."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]


def largest_square(mask_HW: npt.NDArray[np.bool_]) -> tuple[int, int, int]:
    """The largest square of an odd side inside a region, as x, y and side; the first of several, by rows.

    Its side is twice the greatest chessboard distance to what is outside, less one (Borgefors 1986: exact for this
    distance). Side 0 where the region is empty.
    """
    # What lies beyond the tile is outside, too.
    padded = np.pad(mask_HW.astype(np.uint8), 1)
    distance = cv2.distanceTransform(padded, cv2.DIST_C, 3)[1:-1, 1:-1]
    row, column = np.unravel_index(int(distance.argmax()), distance.shape)
    reach = round(float(distance[row, column]))
    if reach == 0:
        return 0, 0, 0
    return int(column) - reach + 1, int(row) - reach + 1, 2 * reach - 1


def mirrored(square_CKK: Pixels, height: int, width: int, start: tuple[int, int] = (0, 0)) -> Pixels:
    """A field filled with a square and its mirror images, edge to edge, so that no seam shows.

    Args:
        square_CKK: the texture.
        height: of the field.
        width: of the field.
        start: x and y of the field's corner in the endless pattern.
    """
    side = square_CKK.shape[-1]
    columns, rows = (_folded(np.arange(num) + first, side) for num, first in zip((width, height), start, strict=True))
    return np.ascontiguousarray(square_CKK[:, rows[:, None], columns[None, :]])


def soft_edge(mask_HW: npt.NDArray[np.bool_], width_px: float) -> npt.NDArray[np.float32]:
    """How much of a region's filling shows: 0 outside, rising to 1 over a width inside its edge.

    The edge of the tile is none of the region's: the region goes on beyond it.
    """
    if mask_HW.all():
        return np.ones(mask_HW.shape, dtype=np.float32)
    distance = cv2.distanceTransform(mask_HW.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    shows_HW: npt.NDArray[np.float32] = np.clip(distance / np.float32(width_px + 1.0), 0.0, 1.0).astype(np.float32)
    return shows_HW


def _folded(places: npt.NDArray[np.int64], side: int) -> npt.NDArray[np.int64]:
    around = places % (2 * side)
    return np.where(around < side, around, 2 * side - 1 - around)
