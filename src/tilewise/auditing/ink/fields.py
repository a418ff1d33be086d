"""Carry values from where they are known to where they are not, and close small holes."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float32]
Bool = npt.NDArray[np.bool_]


def extrapolate(values: npt.NDArray[np.uint8] | Field, known: Bool) -> Field:
    """Fill what is unknown smoothly from what is known, near values first.

    Averages go down a pyramid and come up again where they are missing: push-pull (Gortler et al., The Lumigraph,
    SIGGRAPH 1996). Known pixels keep their values.

    Args:
        values: (H, W) or (H, W, C).
        known: bool (H, W).

    Returns:
        float32 of the shape of `values`; 0 where nothing at all is known.
    """
    weight = known.astype(np.float32)
    value = values.astype(np.float32)
    value[~known] = 0.0
    levels = [(value, weight)]
    while max(weight.shape) > 1:
        size = ((weight.shape[1] + 1) // 2, (weight.shape[0] + 1) // 2)
        value = _resize(value, size, cv2.INTER_AREA)
        weight = _resize(weight, size, cv2.INTER_AREA)
        levels.append((value, weight))
    value, weight = levels[-1]
    filled = np.asarray(value / np.maximum(_broadcast(weight, value), np.float32(1e-9)), dtype=np.float32)
    for value, weight in reversed(levels[:-1]):
        above = _resize(filled, (weight.shape[1], weight.shape[0]), cv2.INTER_LINEAR)
        filled = np.asarray(value + (np.float32(1.0) - _broadcast(weight, value)) * above, dtype=np.float32)
    return filled


def fill_holes(region: Bool, *, largest: float) -> Bool:
    """The region with every enclosed hole of at most `largest` pixels filled.

    Args:
        region: bool (H, W).
        largest: area in pixels.
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStats((~region).astype(np.uint8), connectivity=4)
    height, width = region.shape
    left, top = stats[:, cv2.CC_STAT_LEFT], stats[:, cv2.CC_STAT_TOP]
    right, bottom = left + stats[:, cv2.CC_STAT_WIDTH], top + stats[:, cv2.CC_STAT_HEIGHT]
    inner = (left > 0) & (top > 0) & (right < width) & (bottom < height)
    holes = inner & (stats[:, cv2.CC_STAT_AREA] <= largest)
    holes[0] = False
    filled: Bool = region | holes[labels]
    return filled


def dilate(region: Bool, radius: int) -> Bool:
    """The region with everything within `radius` pixels of it."""
    if radius < 1:
        return region
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return np.asarray(cv2.dilate(region.astype(np.uint8), kernel), dtype=bool)


def _resize(field: Field, size: tuple[int, int], how: int) -> Field:
    resized: Field = cv2.resize(field, size, interpolation=how)
    return resized


def _broadcast(weight: Field, value: Field) -> Field:
    return weight if value.ndim == 2 else weight[:, :, None]
