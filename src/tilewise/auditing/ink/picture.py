"""A picture of a repair: before and after, side by side."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.auditing.ink.repair import Repaired

_INK: Final = (255, 140, 0)
_MASK: Final = (0, 90, 255)
_GAP_PX = 8


def before_after(
    rgb: npt.NDArray[np.uint8],
    repaired: Repaired,
    max_side: int = 900,
    *,
    mask: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.uint8]:
    """Draw a slide before its repair and after it, the ink outlined in orange, the mask in blue.

    Args:
        rgb: uint8 (H, W, 3), before.
        repaired: what `repair` made of it.
        max_side: pixels of each of the two pictures' longer side.
        mask: bool (H, W), before; None to draw none there.

    Returns:
        uint8 RGB, both pictures beside each other, or above each other for a wide slide.
    """
    before = _drawn(rgb, repaired.ink, mask, max_side)
    after = _drawn(repaired.rgb, repaired.ink, repaired.mask, max_side)
    wide = before.shape[1] > 1.4 * before.shape[0]
    gap = np.full((_GAP_PX, before.shape[1], 3) if wide else (before.shape[0], _GAP_PX, 3), 255, np.uint8)
    return np.concatenate([before, gap, after], axis=0 if wide else 1)


def _drawn(
    rgb: npt.NDArray[np.uint8], ink: npt.NDArray[np.bool_], mask: npt.NDArray[np.bool_] | None, max_side: int
) -> npt.NDArray[np.uint8]:
    height, width = ink.shape
    scale = min(1.0, max_side / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = np.ascontiguousarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))
    for region, colour in ((mask, _MASK), (ink, _INK)):
        if region is not None:
            small = cv2.resize(region.astype(np.uint8), size, interpolation=cv2.INTER_AREA)
            outlines, _ = cv2.findContours(small, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(picture, outlines, -1, colour, max(1, round(max(size) / 600)), cv2.LINE_8)
    return picture
