"""The slide's own empty glass, also where tissue lies on it."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Rgb = npt.NDArray[np.uint8]
Picture = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Alpha = npt.NDArray[np.float32]

# The glass is estimated on a grid this coarse, from pixels this far away from tissue.
_COARSE, _CLEARANCE_PX = 8, 6
_GRAIN_PX = 64


def fill_glass(rng: np.random.Generator, rgb: Rgb, *, tissue: Mask) -> Picture:
    """What the slide would show were there nothing on it: smooth light, and grain as the glass has it elsewhere.

    Args:
        rng: draws where the grain is taken from.
        rgb: uint8 (H, W, 3).
        tissue: bool (H, W).

    Returns:
        float32 (H, W, 3), filled everywhere; it is the slide itself far away from tissue only in the mean.
    """
    height, width = tissue.shape
    far = cv2.erode((~tissue).astype(np.uint8), np.ones((2 * _CLEARANCE_PX + 1,) * 2, np.uint8))
    if not far.any():
        return np.full((height, width, 3), 235.0, np.float32)
    size = (max(1, width // _COARSE), max(1, height // _COARSE))
    weight = cv2.resize(far.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    light = cv2.resize(rgb * far[:, :, None], size, interpolation=cv2.INTER_AREA).astype(np.float32)
    mean = np.asarray([rgb[:, :, channel][far > 0].mean() for channel in range(3)], np.float32)
    sigma = max(1.0, max(size) / 12)
    # The mean of all glass, with a little weight, stands in where no glass is near.
    light = cv2.GaussianBlur(light, (0, 0), sigma) + np.float32(1e-3) * mean
    weight = cv2.GaussianBlur(weight, (0, 0), sigma) + np.float32(1e-3)
    smooth = cv2.resize(light / weight[:, :, None], (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(smooth + _grain(rng, rgb, far), dtype=np.float32)


def mix(below: Rgb, above: Picture, alpha: Alpha) -> Rgb:
    """Lay a picture over another: `below + alpha * (above - below)`, rounded; where alpha is 0 nothing changes."""
    mixed = below + alpha[:, :, None] * (above - below)
    return np.asarray(np.clip(np.rint(mixed), 0, 255), dtype=np.uint8)


def _grain(rng: np.random.Generator, rgb: Rgb, far: npt.NDArray[np.uint8]) -> Picture:
    """Grain of a patch of glass without specks, repeated with turns over the slide; float32 (H, W, 3)."""
    height, width = far.shape
    side = min(_GRAIN_PX, height, width)
    best, quietest = None, np.inf
    for _ in range(24):
        y, x = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        if not far[y : y + side, x : x + side].all():
            continue
        patch = rgb[y : y + side, x : x + side].astype(np.float32)
        if patch.std() < quietest:
            best, quietest = patch, float(patch.std())
    if best is None:
        return np.zeros((height, width, 3), np.float32)
    patch = best - cv2.GaussianBlur(best, (0, 0), 8.0)
    rows = [np.hstack([patch, patch[:, ::-1]])] * 1
    tile = np.vstack([rows[0], rows[0][::-1]])
    repeats = (-(-height // tile.shape[0]), -(-width // tile.shape[1]), 1)
    return np.tile(tile, repeats)[:height, :width]
