"""What tiles are cut by: the mask made ready, the tissue, the whole slide, or the tissue outside the mask."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.auditing.cohort import AuditedSlide
from tilewise.cohort import read_mask
from tilewise.slides import SlideReader, open_slide
from tilewise.tiles.config import TileConfig
from tilewise.tiles.window import Mask
from tilewise.tissue import tissue_mask

Region = Literal["mask", "tissue", "slide", "outside"]


class SlideRegions:
    """The regions of one slide; each is found when it is first asked for, and the slide decoded at most once.

    Args:
        slide: whose regions.
        config: how the mask is made ready.
        reader: of the slide where it is open already.
    """

    def __init__(self, slide: AuditedSlide, config: TileConfig, *, reader: SlideReader | None = None) -> None:
        self._slide = slide
        self._config = config
        self._reader = reader

    def __getitem__(self, region: Region) -> Mask:
        """Bool (H, W) in level-0 pixels.

        Raises:
            SlideError: the slide or its mask cannot be read.
        """
        if region == "mask":
            return self.mask
        if region == "outside":
            return self.tissue & ~self.mask
        return self.tissue if region == "tissue" else self.slide

    @cached_property
    def mask(self) -> Mask:
        """The mask, closed and dilated."""
        mask, _ = read_mask(self._slide.slide, self._slide.size)
        return prepared(mask, closing=self._config.mask_closing_px, dilation=self._config.mask_dilation_px)

    @cached_property
    def pixels(self) -> npt.NDArray[np.uint8]:
        """The whole slide, uint8 (H, W, 3), not to be written to."""
        if self._reader is not None:
            return self._reader.read_whole()
        # The audit has let this size pass.
        with open_slide(self._slide.slide.path, max_pixels=self._slide.size.area) as reader:
            return reader.read_whole()

    @cached_property
    def tissue(self) -> Mask:
        """Tissue by optical density."""
        return tissue_mask(self.pixels)

    @cached_property
    def slide(self) -> Mask:
        """Every pixel of the slide."""
        return np.ones((self._slide.size.height, self._slide.size.width), dtype=bool)


def prepared(mask: Mask, *, closing: int, dilation: int) -> Mask:
    """A mask closed and then dilated by discs of these radii in pixels; bool (H, W).

    By distances instead of structuring elements, so that a large radius costs no more than a small one. Closing looks
    beyond the edge as far as it has to, so that it never takes anything away.
    """
    if closing and mask.any():
        padded = np.pad(mask, closing)
        grown = _distance(~padded) <= closing
        mask = np.ascontiguousarray((_distance(grown) > closing)[closing:-closing, closing:-closing]) | mask
    if dilation and mask.any():
        mask = _distance(~mask) <= dilation
    return mask


def _distance(mask: Mask) -> npt.NDArray[np.float32]:
    """How far each pixel of the mask lies from the nearest that is none, in pixels; 0 outside."""
    distance: npt.NDArray[np.float32] = cv2.distanceTransform(
        np.ascontiguousarray(mask).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
    )
    return distance
