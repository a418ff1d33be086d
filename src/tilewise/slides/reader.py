"""What every reader of slides offers, and the reader that keeps a flat image in memory."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import cv2
import numpy as np

from tilewise.slides.overview import overview_size
from tilewise.slides.samples import RGB, SampleRange
from tilewise.units import Box, Size

_WHITE = 255


class SlideReader(Protocol):
    """Pixels of one slide, level 0 after rotation; a context manager. Reads from several threads are not promised.

    Attributes:
        path: of the slide's file.
        size: of level 0.
        levels: sizes of all levels, from level 0 on; one where there are no others.
        mpp: microns per pixel at level 0; None where the file does not say, or not credibly.
        notes: what was handled on the way to 8-bit RGB, in words.
        samples: how far the samples of a slide deeper than 8 bits reach; None of others.
    """

    @property
    def path(self) -> Path: ...  # noqa: D102 - said above

    @property
    def size(self) -> Size: ...  # noqa: D102 - said above

    @property
    def levels(self) -> tuple[Size, ...]: ...  # noqa: D102 - said above

    @property
    def mpp(self) -> float | None: ...  # noqa: D102 - said above

    @property
    def notes(self) -> tuple[str, ...]: ...  # noqa: D102 - said above

    @property
    def samples(self) -> SampleRange | None: ...  # noqa: D102 - said above

    def read_region(self, box: Box, *, size: Size | None = None) -> RGB:
        """Read a box.

        Args:
            box: in level-0 pixels; what lies outside the slide is white.
            size: of the result; the box is averaged down (or interpolated up) to it. None keeps level-0 pixels.

        Returns:
            uint8 (H, W, 3), a copy that may be written to.
        """

    def read_whole(self) -> RGB:
        """The whole of level 0, uint8 (H, W, 3); it may be the reader's own array and cannot be written to."""

    def overview(self) -> RGB:
        """The whole slide in the size of `overview_size`, uint8 (h, w, 3), not to be written to.

        Level 0 itself up to 100 megapixels; of larger slides a reduced picture, in bounded memory.
        """

    def thumbnail(self, max_side: int) -> RGB:
        """The whole slide, averaged down so that no side is longer than `max_side`; never enlarged. uint8 (h, w, 3)."""

    def close(self) -> None:
        """Let go of file and memory; a closed reader cannot read."""

    def __enter__(self) -> Self:
        """The reader itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Close it."""


class FlatReader:
    """A slide that was decoded once and lies in memory until it is closed."""

    def __init__(
        self,
        path: Path,
        pixels: RGB,
        *,
        mpp: float | None = None,
        notes: tuple[str, ...] = (),
        samples: SampleRange | None = None,
    ) -> None:
        self.path = path
        self.size = Size(pixels.shape[1], pixels.shape[0])
        self.levels = (self.size,)
        self.mpp = mpp
        self.notes = notes
        self.samples = samples
        self._pixels: RGB | None = pixels.view()
        self._pixels.flags.writeable = False

    def read_region(self, box: Box, *, size: Size | None = None) -> RGB:
        """As `SlideReader.read_region`."""
        if size is None or (box.width, box.height) == size:
            return self._level_0(box)
        # Resizing makes a copy of its own.
        return resize(self.read_whole()[box.rows, box.columns] if box.inside(self.size) else self._level_0(box), size)

    def read_whole(self) -> RGB:
        """As `SlideReader.read_whole`; no copy is made."""
        if self._pixels is None:
            raise ValueError(f"{self.path}: the reader is closed; read inside its `with` block")
        return self._pixels

    def overview(self) -> RGB:
        """As `SlideReader.overview`."""
        size = overview_size(self.size)
        return self.read_whole() if size == self.size else resize(self.read_whole(), size)

    def thumbnail(self, max_side: int) -> RGB:
        """As `SlideReader.thumbnail`."""
        return self.read_region(Box(0, 0, *self.size), size=thumbnail_size(self.size, max_side))

    def close(self) -> None:
        """As `SlideReader.close`."""
        self._pixels = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def _level_0(self, box: Box) -> RGB:
        whole = self.read_whole()
        if box.inside(self.size):
            return whole[box.rows, box.columns].copy()
        region = np.full((box.height, box.width, 3), _WHITE, dtype=np.uint8)
        visible = box.clip(self.size)
        if visible is not None:
            top, left = visible.y - box.y, visible.x - box.x
            region[top : top + visible.height, left : left + visible.width] = whole[visible.rows, visible.columns]
        return region


def thumbnail_size(size: Size, max_side: int) -> Size:
    """The size of a slide's thumbnail: no side longer than `max_side`, never enlarged."""
    scale = max_side / max(size)
    return size if scale >= 1 else Size(max(1, round(size.width * scale)), max(1, round(size.height * scale)))


def resize(pixels: RGB, size: Size) -> RGB:
    """Resize uint8 (H, W, 3): area averaging where it shrinks in both directions, else bilinear."""
    height, width = pixels.shape[:2]
    shrinks = size.width <= width and size.height <= height
    resized: RGB = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return resized
