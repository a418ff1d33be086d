"""Small drops of the same ink beside a spot, too small to be seen on the reduced image."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.auditing.ink.fields import Bool, Field, dilate

# Colours are counted in cubes of this many bits a channel.
_BITS: Final = 4
# A colour is ink's where it is this many times as common in the core as elsewhere, and not a rarity there.
_RATIO, _RARITY = 25.0, 2e-4
_LEAST_PX, _LEAST_HALF_WIDTH = 24, 2.0


def find_drops(rgb: npt.NDArray[np.uint8], core: Bool, reach: int) -> Bool:
    """Find drops by the colours of the core itself: those that hardly occur outside it.

    Args:
        rgb: uint8 (H, W, 3), the surroundings of a spot.
        core: bool (H, W), the spot.
        reach: pixels around the core that may be its halo and are no witness of what is outside.

    Returns:
        bool (H, W), drops apart from the core.
    """
    outside = ~dilate(core, reach)
    if np.count_nonzero(outside) < 100 or not core.any():
        return np.zeros_like(core)
    shift = 8 - _BITS
    cube = (rgb >> shift).astype(np.int32)
    index = (cube[:, :, 0] << (2 * _BITS)) | (cube[:, :, 1] << _BITS) | cube[:, :, 2]
    inside_share, outside_share = _shares(index[core]), _shares(index[outside])
    own = (inside_share > _RARITY) & (inside_share > _RATIO * outside_share)
    alike = cv2.medianBlur(own[index].astype(np.uint8), 5)
    alike[core] = 0
    num, labels, stats, _ = cv2.connectedComponentsWithStats(alike, connectivity=8)
    if num == 1:
        return np.zeros_like(core)
    depth = cv2.distanceTransform(alike, cv2.DIST_L2, 5)
    half_widths = np.zeros(num, np.float32)
    np.maximum.at(half_widths, labels.ravel(), depth.ravel())
    enough = (stats[:, cv2.CC_STAT_AREA] >= _LEAST_PX) & (half_widths >= _LEAST_HALF_WIDTH)
    enough[0] = False
    return np.asarray(enough[labels], dtype=bool)


def _shares(index: npt.NDArray[np.int32]) -> Field:
    """Share of each cube of colours, those of its neighbours counted in."""
    side = 1 << _BITS
    counts = np.bincount(index.ravel(), minlength=side**3).reshape(side, side, side).astype(np.float32)
    for axis in range(3):
        padded = np.pad(counts, [(1, 1) if other == axis else (0, 0) for other in range(3)])
        before, after = np.take(padded, range(side), axis), np.take(padded, range(2, side + 2), axis)
        counts = 0.25 * before + 0.5 * counts + 0.25 * after
    shares: Field = counts.ravel() / max(1.0, float(counts.sum()))
    return shares
