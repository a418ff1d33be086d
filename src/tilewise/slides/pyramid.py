"""Read regions of a pyramid: only what a region touches, from the level that fits the size asked for."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

import numpy as np

from tilewise.errors import SlideTooLarge
from tilewise.slides.failures import slide_errors
from tilewise.slides.overview import DEFAULT_MAX_PIXELS, overview_size
from tilewise.slides.reader import resize, thumbnail_size
from tilewise.slides.samples import RGB, SampleRange
from tilewise.units import Box, Size

_WHITE: Final = 255
# A level of scale 4 may seem to have 4.003.
_ROUNDED: Final = 1.01
# Of a region that is scaled down, pixels that are decoded at a time: 48 MB as RGB.
_BAND_PIXELS: Final = 1 << 24


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

    Regions that are scaled down come from the coarsest level that still has enough pixels, band by band where that is
    large; their edges are rounded to its pixels.

    Args:
        path: of the slide's file.
        levels: its pixels; closed with the reader.
        mpp: microns per pixel of level 0.
        max_pixels: the most that `read_whole` decodes.
        notes: what is known of the file, in words.
    """

    def __init__(
        self,
        path: Path,
        levels: Levels,
        *,
        mpp: float | None = None,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.path = path
        self.levels = levels.sizes
        self.size = levels.sizes[0]
        self.mpp = mpp
        self.notes = (*notes, *levels.notes)
        self.samples: SampleRange | None = None  # levels are of 8 bits
        self._source: Levels | None = levels
        self._max_pixels = max_pixels
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
        if (box.width, box.height) == target:
            return self._on_white(level, box)
        if box.area <= _BAND_PIXELS or target.height < 2:
            return resize(self._on_white(level, box), target)
        return self._in_bands(level, box, target)

    def read_whole(self) -> RGB:
        """As `SlideReader.read_whole`; kept until the reader is closed.

        Raises:
            SlideUnreadable: the file is damaged.
            SlideTooLarge: it has more than `max_pixels`.
        """
        if self.size.area > self._max_pixels:
            raise SlideTooLarge(
                f"{self.path}: {self.size.width} x {self.size.height} pixels are {self.size.area / 1e6:,.1f} "
                f"megapixels, more than the {self._max_pixels / 1e6:,.1f} decoded at once; read regions, or raise the "
                "limit (max_pixels)"
            )
        if self._whole is None:
            self._whole = self._read(0, Box(0, 0, *self.size))
            self._whole.flags.writeable = False
        return self._whole

    def overview(self) -> RGB:
        """As `SlideReader.overview`.

        Raises:
            SlideUnreadable: the file is damaged.
        """
        size = overview_size(self.size)
        return self.read_whole() if size == self.size else self.read_region(Box(0, 0, *self.size), size=size)

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

    def _in_bands(self, level: int, box: Box, target: Size) -> RGB:
        """A large box, reduced; memory grows with the width of the slide and the size of the result only."""
        scale = box.height / target.height
        step = max(1, int(_BAND_PIXELS / (box.width * scale)))
        pixels = np.empty((target.height, target.width, 3), dtype=np.uint8)
        for start in range(0, target.height, step):
            stop = min(start + step, target.height)
            top, bottom = round(start * scale), round(stop * scale)
            band = self._on_white(level, Box(box.x, box.y + top, box.width, max(1, bottom - top)))
            pixels[start:stop] = resize(band, Size(target.width, stop - start))
        return pixels

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
            return self._source.read(level, box)
