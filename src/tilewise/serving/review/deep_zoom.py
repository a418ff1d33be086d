"""Tiles of a run's slides, for a viewer that zooms: from the file's own pyramid, or from one that is cached."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import cv2
import numpy as np

from tilewise.errors import ArtifactError
from tilewise.serving.review.tile_pack import (
    TilePack,
    encode_jpeg,
    level_sizes,
    pack_path,
    tile_box,
    write_pack,
)
from tilewise.slides import SlideReader, open_slide, read_header
from tilewise.units import Box, Size

_MOST_OPEN: Final = 24
THUMBNAIL_PX: Final = 160


class ZoomableSlide(Protocol):
    """One slide as tiles.

    Attributes:
        size: of level 0.
    """

    @property
    def size(self) -> Size: ...  # noqa: D102 - said above

    def tile(self, level: int, column: int, row: int) -> bytes | None:
        """A tile as JPEG, level 0 being the smallest; None where there is none."""


class PyramidTiles:
    """Tiles of a slide whose file is a pyramid, read when they are asked for.

    Args:
        reader: of the slide.
    """

    def __init__(self, reader: SlideReader) -> None:
        self.size = reader.size
        self._reader = reader
        self._sizes = level_sizes(reader.size)
        self._lock = threading.Lock()
        weakref.finalize(self, reader.close)  # once the last request for a tile of it is answered

    def tile(self, level: int, column: int, row: int) -> bytes | None:
        """As `ZoomableSlide.tile`."""
        box = tile_box(self._sizes[level], column, row) if 0 <= level < len(self._sizes) else None
        if box is None:
            return None
        scale = 2 ** (len(self._sizes) - 1 - level)
        region = Box(box.x * scale, box.y * scale, box.width * scale, box.height * scale)
        with self._lock:  # reads from several threads are not promised
            pixels = self._reader.read_region(region, size=Size(box.width, box.height))
        return encode_jpeg(pixels)


class DeepZoom:
    """Tiles of slides by number; a flat slide is cut into tiles when it is first looked at.

    Args:
        slides: files of the slides.
        max_pixels: a slide of more is not decoded.
    """

    def __init__(self, slides: Sequence[Path], *, max_pixels: int) -> None:
        self._slides = tuple(slides)
        self._max_pixels = max_pixels
        self._open: OrderedDict[int, ZoomableSlide] = OrderedDict()
        self._lock = threading.Lock()
        # One large slide is decoded at a time: each takes memory, and two would not be here sooner.
        self._building = threading.Lock()

    def slide(self, number: int) -> ZoomableSlide:
        """A slide, opened where it is not.

        Raises:
            SlideError: it cannot be read.
            UsageError: the cache cannot be written to.
        """
        with self._lock:
            if number in self._open:
                self._open.move_to_end(number)
                return self._open[number]
        with self._building:
            slide = self._open.get(number) or self._opened(self._slides[number])
        with self._lock:
            self._open[number] = slide
            while len(self._open) > _MOST_OPEN:
                self._open.popitem(last=False)
        return slide

    def thumbnail(self, number: int) -> bytes:
        """A small JPEG of a slide.

        Raises:
            SlideError: it cannot be read.
        """
        data = self.slide(number).tile(0, 0, 0)
        assert data is not None
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert bgr is not None
        scale = min(1.0, THUMBNAIL_PX / max(bgr.shape))
        small = cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()

    def _opened(self, path: Path) -> ZoomableSlide:
        if read_header(path).levels:
            return PyramidTiles(open_slide(path, max_pixels=self._max_pixels))
        packed = pack_path(path)
        try:
            return TilePack(packed)
        except ArtifactError:
            with open_slide(path, max_pixels=self._max_pixels) as reader:
                write_pack(packed, reader.read_whole())
            return TilePack(packed)
