"""Tiles by the connected components of the mask."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.tiles.window import Boxes, Ratios
from tilewise.units import Box, Size


def component_center_tiles(
    mask: npt.NDArray[np.bool_], side: int, *, min_component_px: int, min_ratio: float
) -> tuple[Boxes, Ratios]:
    """Cut one tile centred on each connected component of the mask.

    The centre is the centroid, or the component's own pixel nearest to it where a curved component does not contain
    its centroid. Tiles that would leave the slide are moved inside.

    Args:
        mask: bool (H, W).
        side: of a tile, in level-0 pixels.
        min_component_px: components of fewer pixels are passed over.
        min_ratio: smallest share of a tile that the mask covers.

    Returns:
        Boxes, int64 (N, 4) as x, y, width, height, ordered by y, then x, no two equal; and the share of each that the
        mask covers.
    """
    size = Size(mask.shape[1], mask.shape[0])
    num, labels, stats, centroids = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    found = {}
    for component in range(1, num):
        x, y, width, height, area = (int(value) for value in stats[component])
        if area < min_component_px:
            continue
        own = labels[y : y + height, x : x + width] == component
        center_x, center_y = _inside(own, centroids[component][0] - x, centroids[component][1] - y)
        box = Box.around(x + center_x + 0.5, y + center_y + 0.5, Size(side, side)).shift_inside(size)
        ratio = float(mask[box.rows, box.columns].mean())
        if ratio >= min_ratio:
            found[box.y, box.x, box.width, box.height] = ratio
    ordered = sorted(found.items())
    boxes = np.array([[x, y, w, h] for (y, x, w, h), _ in ordered], dtype=np.int64).reshape(-1, 4)
    return boxes, np.array([ratio for _, ratio in ordered], dtype=np.float64)


def _inside(own: npt.NDArray[np.bool_], x: float, y: float) -> tuple[float, float]:
    if own[int(y), int(x)]:  # rounded as the box is
        return x, y
    rows, columns = np.nonzero(own)
    nearest = int(np.argmin((columns - x) ** 2 + (rows - y) ** 2))
    return float(columns[nearest]), float(rows[nearest])
