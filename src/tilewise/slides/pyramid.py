"""Read regions of a pyramid: only what a region touches, from the level that fits the size asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

import numpy as np

from tilewise.errors import SlideTooLarge
from tilewise.slides.failures import slide_errors
from tilewise.slides.reader import resize, thumbnail_size
from tilewise.slides.samples import RGB, SampleRange
from tilewise.units import Box, Size

_WHITE: Final = 255
# A level of scale 4 may seem to have 4.003.
_ROUNDED: Final = 1.01


class Levels(Protocol):
    """The pixels of a pyramid, level by level, from the finest on.

    Attributes:
        sizes: of each level, in its own pixels.
        notes: what was handled on the way to 8-bit RGB, in words.
    """

    @property
    def sizes(self) -> tuple[Size, ...]: ...  # noqa: D102 - said above

    @property
    def notes(self) -> tuple[str, ...]: ...  # noqa: D102 - said above

    def read(self, level: int, box: Box) -> RGB:
        """Pixels of a box inside a level, in that level's own pixels; a new uint8 (H, W, 3)."""

    def close(self) -> None:
        """Let go of the file."""


class PyramidReader:
    """A slide of several levels, of which only what is asked for is decoded.

    Where a coarser level than the file's finest is made the reader's level 0 (a slide too large to be decoded at once),
    sizes, boxes and `mpp` are those of that level, and `notes` says so. Regions that are scaled down come from the
    coarsest level that still has enough pixels; their edges are rounded to its pixels.

    Args:
        path: of the slide's file.
        levels: its pixels; closed with the reader.
        first: the level of the file that is the reader's level 0.
        mpp: microns per pixel of the file's finest level.
        notes: what is known of the file, in words.
    """

    def __init__(
        self,
        path: Path,
        levels: Levels,
        *,
        first: int = 0,
        mpp: float | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        sizes = levels.sizes
        self.path = path
        self.levels = sizes[first:]
        self.size = sizes[first]
        self.mpp = None if mpp is None else mpp * sizes[0].width / self.size.width
        taken = (f"{_level(first, sizes)} taken as the slide: level 0 has {sizes[0].area / 1e6:,.0f} megapixels",)
        self.notes = (*notes, *levels.notes, *(taken if first else ()))
        self.samples: SampleRange | None = None  # levels are of 8 bits
        self._source: Levels | None = levels
        self._first = first
        self._whole: RGB | None = None

    def read_region(self, box: Box, *, size: Size | None = None) -> RGB:
        """As `SlideReader.read_region`.

        Raises:
            SlideUnreadable: the part of the file that is needed is damaged.
        """
        target = Size(box.width, box.height) if size is None else size
        level = self._level_for(box, target)
        scale_x, scale_y = self.size.width / self.levels[level].width, self.size.height / self.levels[level].height
        if level:
            x, y = round(box.x / scale_x), round(box.y / scale_y)
            right, bottom = round(box.right / scale_x), round(box.bottom / scale_y)
            box = Box(x, y, max(1, right - x), max(1, bottom - y))
        pixels = self._on_white(level, box)
        return pixels if (box.width, box.height) == target else resize(pixels, target)

    def read_whole(self) -> RGB:
        """As `SlideReader.read_whole`; kept until the reader is closed.

        Raises:
            SlideUnreadable: the file is damaged.
        """
        if self._whole is None:
            self._whole = self._read(0, Box(0, 0, *self.size))
            self._whole.flags.writeable = False
        return self._whole

    def thumbnail(self, max_side: int) -> RGB:
        """As `SlideReader.thumbnail`.

        Raises:
            SlideUnreadable: the file is damaged.
        """
        return self.read_region(Box(0, 0, *self.size), size=thumbnail_size(self.size, max_side))

    def close(self) -> None:
        """As `SlideReader.close`."""
        if self._source is not None:
            self._source.close()
        self._source, self._whole = None, None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def _level_for(self, box: Box, target: Size) -> int:
        wanted = min(box.width / target.width, box.height / target.height) * _ROUNDED
        # Sizes of levels are cut to whole pixels, which makes the larger of the two scales the wronger one.
        scales = [min(self.size.width / size.width, self.size.height / size.height) for size in self.levels]
        return max(
            (level for level, scale in enumerate(scales) if level == 0 or scale <= wanted), key=scales.__getitem__
        )

    def _on_white(self, level: int, box: Box) -> RGB:
        size = self.levels[level]
        if box.inside(size):
            return self._read(level, box)
        region = np.full((box.height, box.width, 3), _WHITE, dtype=np.uint8)
        visible = box.clip(size)
        if visible is not None:
            top, left = visible.y - box.y, visible.x - box.x
            region[top : top + visible.height, left : left + visible.width] = self._read(level, visible)
        return region

    def _read(self, level: int, box: Box) -> RGB:
        if self._source is None:
            raise ValueError(f"{self.path}: the reader is closed; read inside its `with` block")
        if level == 0 and self._whole is not None:
            return self._whole[box.rows, box.columns].copy()
        with slide_errors(self.path, "a region cannot be decoded"):
            return self._source.read(self._first + level, box)


def finest_within(path: Path, sizes: Sequence[Size], max_pixels: int) -> int:
    """The finest level of no more than `max_pixels`.

    Raises:
        SlideTooLarge: there is none.
    """
    for level, size in enumerate(sizes):
        if size.area <= max_pixels:
            return level
    least = min(size.area for size in sizes)
    several = f", the smallest of its {len(sizes)} levels {least / 1e6:,.1f}" if len(sizes) > 1 else ""
    raise SlideTooLarge(
        f"{path}: {sizes[0].width} x {sizes[0].height} pixels are {sizes[0].area / 1e6:,.1f} megapixels{several}, more "
        f"than the {max_pixels / 1e6:,.1f} decoded at once; scale it down, or raise the limit (max_pixels)"
    )


def _level(number: int, sizes: Sequence[Size]) -> str:
    return f"level {number} of {len(sizes)} ({sizes[number].width} x {sizes[number].height})"
