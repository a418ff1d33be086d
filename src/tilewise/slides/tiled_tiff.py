"""Tiled TIFF, plain or as a pyramid (Aperio's SVS too): only the tiles that a region touches are decoded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import numpy as np
import tifffile

from tilewise.slides.samples import RGB
from tilewise.slides.tiff_copies import page_size
from tilewise.slides.tiff_directory import read_page
from tilewise.slides.tiff_pages import read_layout
from tilewise.slides.tiff_segments import decode_segment, require_segments, require_whole
from tilewise.slides.tile_cache import CACHE_BYTES, TileCache
from tilewise.units import Box, Size

# Formats that are TIFF files by their bytes, but lay their tiles or levels out in a way of their own.
_VENDORS: Final = {
    "is_ndpi": "Hamamatsu NDPI",
    "is_scn": "Leica SCN",
    "is_bif": "Ventana BIF",
    "is_philips": "Philips TIFF",
}


def vendor_of(page: Any) -> str:
    """The vendor's format where the first page belongs to one that only OpenSlide reads; else empty."""
    return next((name for flag, name in _VENDORS.items() if getattr(page, flag)), "")


class TiledTiff:
    """The levels of a tiled TIFF file.

    Args:
        path: of the file.
        pages_at: where the pages of its levels begin, as its header says; looked for where this is empty.
        cache_bytes: decoded tiles that are kept for the next region, the least recently used go first.

    Raises:
        ValueError: the file is damaged or broken off, or the slide's page has no 8-bit RGB tiles.
    """

    def __init__(self, path: Path, pages_at: tuple[int, ...] = (), *, cache_bytes: int = CACHE_BYTES) -> None:
        self._stream = path.open("rb")
        try:
            self._file = tifffile.TiffFile(self._stream)
            self._pages = tuple(read_page(self._file, offset) for offset in pages_at) or read_layout(self._file).levels
            if not self._pages:
                raise ValueError("the slide is not stored in tiles of 8-bit RGB")  # noqa: TRY301 - closed below
            num_bytes = self._stream.seek(0, os.SEEK_END)
            num_empty = sum(_require_tiles(page, num_bytes) for page in self._pages)
        except BaseException:
            self._stream.close()
            raise
        self.sizes = tuple(page_size(page) for page in self._pages)
        self.notes = (f"{num_empty} tiles are not stored and taken as empty glass",) if num_empty else ()
        self._cache = TileCache(self._decoded, cache_bytes)

    def read(self, level: int, box: Box) -> RGB:
        """As `Levels.read`.

        Raises:
            ValueError: a tile is damaged.
        """
        page = self._pages[level]
        return self._cache.read(level, box, Size(page.tilewidth, page.tilelength))

    def close(self) -> None:
        """As `Levels.close`."""
        self._cache.clear()
        self._file.close()
        self._stream.close()

    def _decoded(self, level: int, row: int, column: int) -> RGB:
        page = self._pages[level]
        index = row * -(-page.imagewidth // page.tilewidth) + column
        offset, count = page.dataoffsets[index], page.databytecounts[index]
        if not count:
            return np.full((page.tilelength, page.tilewidth, 3), 255, dtype=np.uint8)
        data = os.pread(self._stream.fileno(), count, offset)
        if len(data) < count:
            raise ValueError(f"tile {index} of level {level} is broken off")
        require_whole(page, data, f"tile {index} of level {level}")
        decoded = decode_segment(page, data, index)
        if decoded.shape[0] != 1 or decoded.shape[3] != 3 or decoded.dtype != np.uint8:
            raise ValueError(f"tile {index} of level {level} does not hold 8-bit RGB")
        tile: RGB = decoded[0]
        return tile


def _require_tiles(page: Any, num_bytes: int) -> int:
    """Check that every tile lies inside the file; returns how many are not stored at all (neither offset nor bytes)."""
    require_segments(page)
    across, down = -(-page.imagewidth // page.tilewidth), -(-page.imagelength // page.tilelength)
    offsets, counts = (np.array(values, dtype=np.int64) for values in (page.dataoffsets, page.databytecounts))
    if min(len(offsets), len(counts)) < across * down:
        raise ValueError(f"it is damaged: {min(len(offsets), len(counts))} of {across * down} tiles are listed")
    offsets, counts = offsets[: across * down], counts[: across * down]
    empty = counts == 0
    if (empty & (offsets != 0)).any() or (counts < 0).any() or empty.all():
        raise ValueError("some of its tiles are empty")
    end = int((offsets + counts).max())
    if end > num_bytes:
        raise ValueError(f"it is broken off: {num_bytes} of at least {end} bytes")
    return int(empty.sum())
