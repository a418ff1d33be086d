"""Vendors' formats, by way of OpenSlide (extra `wsi`): NDPI, MIRAX, SCN, BIF, VMS and others."""

from __future__ import annotations

import math
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import cv2
import numpy as np

from tilewise.errors import SlideUnreadable
from tilewise.slides.header import SlideHeader, make_header, plausible_mpp
from tilewise.slides.samples import RGB
from tilewise.slides.tile_cache import CACHE_BYTES
from tilewise.units import Box, Size

# OpenSlide hands out 4 bytes a pixel, twice; a large region is read in bands.
_BAND_PIXELS: Final = 16_000_000
_OPAQUE: Final = 255


class OpenSlideLevels:
    """The levels of a slide that OpenSlide reads; what was not scanned is white.

    Args:
        path: of the file; of a slide of several files, the one that OpenSlide is to be given.

    Raises:
        SlideUnreadable: OpenSlide is not installed.
        ValueError: OpenSlide cannot read the file.
    """

    def __init__(self, path: Path) -> None:
        library = _library(path)
        try:
            self._slide = library.OpenSlide(path)
            self._slide.set_cache(library.OpenSlideCache(CACHE_BYTES))
        except library.OpenSlideError as error:
            raise ValueError(f"OpenSlide says: {error}") from error
        self._failure: Any = library.OpenSlideError
        self.sizes = tuple(Size(*size) for size in self._slide.level_dimensions)
        self.notes: tuple[str, ...] = ()

    @property
    def vendor(self) -> str:
        """As OpenSlide calls it: `hamamatsu`, `mirax`, ..."""
        return str(self._slide.properties.get("openslide.vendor", "unknown"))

    @property
    def mpp(self) -> float | None:
        """Microns per pixel of level 0."""
        properties = self._slide.properties
        x, y = (_number(properties.get(f"openslide.mpp-{axis}")) for axis in "xy")
        return plausible_mpp(x, y)

    def read(self, level: int, box: Box) -> RGB:
        """As `Levels.read`.

        Raises:
            ValueError: OpenSlide cannot decode the region.
        """
        rows = max(1, _BAND_PIXELS // box.width)
        region = np.empty((box.height, box.width, 3), dtype=np.uint8)
        for start in range(0, box.height, rows):
            height = min(rows, box.height - start)
            region[start : start + height] = self._band(level, Box(box.x, box.y + start, box.width, height))
        return region

    def close(self) -> None:
        """As `Levels.close`."""
        self._slide.close()

    def _band(self, level: int, box: Box) -> RGB:
        scale = self._slide.level_downsamples[level]
        corner = (round(box.x * scale), round(box.y * scale))
        try:
            rgba = np.asarray(self._slide.read_region(corner, level, (box.width, box.height)))
        except self._failure as error:
            raise ValueError(f"OpenSlide says: {error}") from error
        rgb: RGB = cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB)
        alpha = rgba[:, :, 3:]
        if int(alpha.min()) == _OPAQUE:
            return rgb
        veil = _OPAQUE - alpha.astype(np.uint16)
        return ((rgb * (_OPAQUE - veil) + _OPAQUE * veil + 127) // _OPAQUE).astype(np.uint8)


def read_openslide_header(path: Path) -> SlideHeader:
    """Read what OpenSlide knows of a slide.

    Raises:
        SlideUnreadable: OpenSlide is not installed.
        ValueError: OpenSlide cannot read the file.
    """
    levels = OpenSlideLevels(path)
    try:
        return make_header(
            format="OpenSlide",
            stored_size=levels.sizes[0],
            mode="rgb",
            bits=8,
            mpp=levels.mpp,
            lossy=True,
            levels=levels.sizes,
            notes=(f"read by OpenSlide as {levels.vendor}",),
        )
    finally:
        levels.close()


def _library(path: Path) -> ModuleType:
    try:
        import openslide
    except (ImportError, OSError) as error:
        raise SlideUnreadable(
            f"{path}: this format is read by OpenSlide, which is not installed; run pip install 'tilewise[wsi]', or "
            "save the slide as a tiled TIFF"
        ) from error
    library: ModuleType = openslide
    return library


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan
