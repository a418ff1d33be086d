"""The slide's own empty glass, carried on under tissue and ink."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.auditing.ink.fields import Bool, Field, extrapolate
from tilewise.tissue import glass_level
from tilewise.units import Box, Size

# The glass varies slowly: this many pixels of the longer side say all about it.
_SIDE = 256
_LEAST_GLASS = 0.002
_GRAIN_PX = 64


@dataclass(frozen=True)
class Background:
    """Glass as it would be without anything on it.

    Attributes:
        level: float32 (h, w, 3), its smooth part, grey levels, reduced.
        grain: float32 (n, n, 3), what a piece of real glass of this slide adds to it.
        size: of the slide.
    """

    level: Field
    grain: Field
    size: Size

    def smooth(self, box: Box) -> Field:
        """The smooth part within a box of the slide; float32 (height, width, 3)."""
        height, width = self.level.shape[:2]
        x = (np.arange(box.x, box.right, dtype=np.float32) + 0.5) * (width / self.size.width) - 0.5
        y = (np.arange(box.y, box.bottom, dtype=np.float32) + 0.5) * (height / self.size.height) - 0.5
        map_x, map_y = np.meshgrid(x, y)
        level: Field = cv2.remap(self.level, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return level

    def with_grain(self, box: Box) -> npt.NDArray[np.uint8]:
        """Smooth part and grain within a box; uint8 (height, width, 3). The same for the same box."""
        side = self.grain.shape[0]
        rows, columns = (
            _there_and_back(start, stop, side) for start, stop in ((box.y, box.bottom), (box.x, box.right))
        )
        grey = self.smooth(box) + self.grain[rows][:, columns]
        return np.asarray(np.clip(np.rint(grey), 0, 255), dtype=np.uint8)


def estimate_background(rgb: npt.NDArray[np.uint8], glass: Bool) -> Background:
    """Estimate the glass everywhere from where it is bare.

    Args:
        rgb: uint8 (H, W, 3).
        glass: bool (H, W), neither tissue nor ink nor their surroundings. Without any, the level is the brightest
            the slide has, and the grain is that of a camera.
    """
    height, width = glass.shape
    scale = min(1.0, _SIDE / max(height, width))
    reduced = Size(max(1, round(width * scale)), max(1, round(height * scale)))
    size = Size(width, height)
    if np.count_nonzero(glass) < max(64, _LEAST_GLASS * glass.size):
        bright = [glass_level(np.ascontiguousarray(rgb[:, :, channel])) for channel in range(3)]
        level = np.full((reduced.height, reduced.width, 3), bright, np.float32)
        grain = np.random.default_rng(0).normal(0.0, 1.0, (_GRAIN_PX, _GRAIN_PX, 3)).astype(np.float32)
        return Background(level, grain, size)
    share = cv2.resize(glass.astype(np.uint8) * np.uint8(255), reduced, interpolation=cv2.INTER_AREA)
    small = cv2.resize(rgb, reduced, interpolation=cv2.INTER_AREA)
    clean = share == 255
    if not clean.any():
        clean = share >= share.max()
    # The median takes dust out.
    calm = cv2.medianBlur(extrapolate(small, clean), 5)
    level = cv2.GaussianBlur(calm, (0, 0), 2.0)
    background = Background(level, np.zeros((1, 1, 3), np.float32), size)
    return Background(level, _grain(rgb, glass, background), size)


def _grain(rgb: npt.NDArray[np.uint8], glass: Bool, background: Background) -> Field:
    """What is left of the evenest piece of glass without its smooth part."""
    height, width = glass.shape
    side = min(_GRAIN_PX, height, width)
    best: tuple[float, int, int] | None = None
    for y in range(0, height - side + 1, max(side, (height - side) // 12)):
        for x in range(0, width - side + 1, max(side, (width - side) // 12)):
            if glass[y : y + side, x : x + side].all():
                spread = float(rgb[y : y + side, x : x + side, 1].std())
                if best is None or spread < best[0]:
                    best = (spread, x, y)
    if best is None:
        return np.random.default_rng(0).normal(0.0, 1.0, (side, side, 3)).astype(np.float32)
    box = Box(best[1], best[2], side, side)
    rest = rgb[box.rows, box.columns].astype(np.float32) - background.smooth(box)
    return np.asarray(rest - rest.mean(axis=(0, 1)), dtype=np.float32)


def _there_and_back(start: int, stop: int, side: int) -> npt.NDArray[np.intp]:
    """Indices that run to the end of the piece and back again, so that its copies meet without a seam."""
    at = np.arange(start, stop) % (2 * side)
    return np.where(at < side, at, 2 * side - 1 - at)
