"""The square in which a network sees a slide, and the way back."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.units import Size


@dataclass(frozen=True)
class Square:
    """A slide scaled so that its long side fills a square; the rest is its mirror image, so that there is no edge.

    Attributes:
        size: of the slide, level 0.
        side: of the square, in pixels.
    """

    size: Size
    side: int

    @property
    def inner(self) -> Size:
        """The scaled slide, at the square's top left."""
        scale = self.side / max(self.size)
        return Size(max(1, round(self.size.width * scale)), max(1, round(self.size.height * scale)))

    def enter(self, rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Slide, uint8 (H, W, 3), to square, uint8 (side, side, 3)."""
        shrinks = max(self.size) >= self.side
        small = cv2.resize(rgb, self.inner, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        return self._mirrored(small)

    def enter_mask(self, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
        """Mask, bool (H, W), to square, uint8 (side, side) of 0 and 1."""
        shrinks = max(self.size) >= self.side
        small = cv2.resize(
            mask.astype(np.float32), self.inner, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
        return self._mirrored((small >= 0.5).astype(np.uint8))

    def leave(self, plane: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """A plane of the square, float32 (side, side), to the slide, float32 (H, W)."""
        inner = np.ascontiguousarray(plane[: self.inner.height, : self.inner.width])
        whole: npt.NDArray[np.float32] = cv2.resize(inner, self.size, interpolation=cv2.INTER_LINEAR)
        return whole

    def _mirrored(self, plane: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        below, right = self.side - self.inner.height, self.side - self.inner.width
        filled: npt.NDArray[np.uint8] = cv2.copyMakeBorder(plane, 0, below, 0, right, cv2.BORDER_REFLECT)
        return filled
