"""The picture in which a slide is looked at as a whole: of large slides a reduced one."""

from __future__ import annotations

from typing import Final

from tilewise.units import Size

DEFAULT_MAX_PIXELS: Final = 400_000_000
"""Pixels a reader decodes at once unless told otherwise: 1.2 GB as RGB."""
OVERVIEW_PIXELS: Final = 100_000_000
"""The most pixels that are looked at together: 300 MB as RGB, 100 MB as a mask."""


def overview_factor(size: Size) -> int:
    """Level-0 pixels along the side of one pixel of the overview: 1 up to `OVERVIEW_PIXELS`, else a power of 2.

    It follows from the size alone, so that tissue, masks and tiles of a slide agree on it without opening the slide.
    """
    factor = 1
    while overview_size(size, factor).area > OVERVIEW_PIXELS:
        factor *= 2
    return factor


def overview_size(size: Size, factor: int | None = None) -> Size:
    """Size of the overview of a slide; pixels of its last row and column may reach beyond the slide.

    Args:
        size: of level 0.
        factor: as `overview_factor` gives it; None asks it.
    """
    factor = overview_factor(size) if factor is None else factor
    return Size(-(-size.width // factor), -(-size.height // factor))
