"""The shape of a mask, in seven numbers."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

NUM_SHAPES = 7


def describe_shape(mask: Mask) -> Floats:
    """Shape of a mask, float32 (7,).

    Logarithm of its share of the slide; logarithm of the number of its connected components; and of the largest of
    these: its share of the mask, compactness (4 pi area / perimeter^2), solidity (area / convex hull), extent (area /
    bounding box) and elongation (shorter / longer axis of the ellipse of equal moments).

    Args:
        mask: bool (H, W), not empty.
    """
    plane = np.ascontiguousarray(mask).view(np.uint8)
    num, labels_HW, stats_LS, _ = cv2.connectedComponentsWithStats(plane, connectivity=8)
    areas_L = stats_LS[1:, cv2.CC_STAT_AREA]
    label = int(areas_L.argmax()) + 1
    x, y, width, height, area = stats_LS[label].tolist()
    component = (labels_HW[y : y + height, x : x + width] == label).astype(np.uint8)
    contours, _ = cv2.findContours(np.pad(component, 1), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(contours, key=len)
    perimeter = max(cv2.arcLength(outline, closed=True), 4.0)
    hull = cv2.fillConvexPoly(np.zeros((height + 2, width + 2), np.uint8), cv2.convexHull(outline), 1).sum()
    shape = (
        np.log(mask.mean()),
        np.log(num - 1),
        area / areas_L.sum(),
        min(4.0 * np.pi * area / perimeter**2, 1.0),
        area / hull,
        area / (width * height),
        _elongation(component),
    )
    return np.array(shape, dtype=np.float32)


def _elongation(component: npt.NDArray[np.uint8]) -> float:
    moments = cv2.moments(component, binaryImage=True)
    # A pixel is a square and no point: its own second moment keeps a line of pixels from having no width.
    xx, yy = (moments[name] / moments["m00"] + 1.0 / 12.0 for name in ("mu20", "mu02"))
    xy = moments["mu11"] / moments["m00"]
    middle, half = (xx + yy) / 2.0, np.hypot((xx - yy) / 2.0, xy)
    return float(np.sqrt(max(middle - half, 0.0) / (middle + half)))
