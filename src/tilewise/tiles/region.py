"""What tiles are cut by: the mask made ready, the tissue, the whole slide, or the tissue outside the mask."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.auditing.cohort import AuditedSlide
from tilewise.cohort import read_mask
from tilewise.slides import SlideReader, open_slide, overview_factor, overview_size
from tilewise.tiles.config import TileConfig
from tilewise.tiles.window import Mask
from tilewise.tissue import tissue_mask
from tilewise.units import Box

Region = Literal["mask", "tissue", "slide", "outside"]


class SlideRegions:
    """The regions of one slide; each is found when it is first asked for, and the slide decoded at most once.

    Args:
        slide: whose regions.
        config: how the mask is made ready.
        reader: of the slide where it is open already; otherwise `close` closes what was opened.
    """

    def __init__(self, slide: AuditedSlide, config: TileConfig, *, reader: SlideReader | None = None) -> None:
        self._slide = slide
        self._config = config
        self._callers_reader = reader
        self._opened: SlideReader | None = None

    def __getitem__(self, region: Region) -> Mask:
        """Bool (H, W) in the size of the slide's overview: level 0 but of large slides.

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
        factor = overview_factor(self._slide.size)
        closing, dilation = (
            math.ceil(px / factor) for px in (self._config.mask_closing_px, self._config.mask_dilation_px)
        )
        return prepared(mask, closing=closing, dilation=dilation)

    def read(self, box: Box) -> npt.NDArray[np.uint8]:
        """Pixels of a box, uint8 (height, width, 3)."""
        return self._reader.read_region(box)

    def close(self) -> None:
        """Close the slide where it was opened here."""
        if self._opened is not None:
            self._opened.close()
        self._opened = None

    @property
    def _reader(self) -> SlideReader:
        if self._callers_reader is not None:
            return self._callers_reader
        if self._opened is None:
            # The audit has let this size pass.
            self._opened = open_slide(self._slide.slide.path, max_pixels=self._slide.size.area)
        return self._opened

    @cached_property
    def tissue(self) -> Mask:
        """Tissue by optical density."""
        return tissue_mask(self._reader.overview())

    @cached_property
    def slide(self) -> Mask:
        """Every pixel of the slide."""
        width, height = overview_size(self._slide.size)
        return np.ones((height, width), dtype=bool)


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
