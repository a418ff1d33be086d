"""What a file says about its image before a pixel is decoded."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from tilewise.slides.orientation import ORIENTATIONS, oriented_size
from tilewise.units import Size

# Microscopes reach from about 100x (0.1 um) down to photographs of the glass; 72 or 300 dpi are a printer's numbers.
_PLAUSIBLE_MPP: Final = (0.05, 20.0)
OMITTED: Final = "left out: "
"""How a note begins that tells of image data which was not taken."""


class Buffer(Protocol):
    """Bytes in memory or in a mapped file: slices are bytes."""

    def __getitem__(self, key: slice, /) -> bytes:
        """The bytes of a slice."""

    def __len__(self) -> int:
        """Number of bytes."""


@dataclass(frozen=True)
class SlideHeader:
    """What is known without reading pixels.

    Attributes:
        format: `PNG`, `JPEG`, `BMP`, `TIFF`, `OpenSlide` or `OME-Zarr`, by the file's first bytes; its suffix counts
            only where these tell nothing.
        size: level 0, after the orientation is applied.
        stored_size: as stored, before it.
        mode: `grey`, `grey+alpha`, `rgb`, `rgba`, `palette`, `cmyk` or `ycbcr`.
        bits: per sample.
        orientation: EXIF's, 1 (as stored) to 8.
        pages: images in the file; the notes say which is the slide where it is not the only one.
        mpp: microns per pixel, None unless the file's own figure is one a microscope can have made.
        lossy: whether the compression changes pixel values.
        levels: sizes from level 0 on, of a slide whose regions can be read without decoding all of it; else empty.
        notes: what is worth knowing, in words.
        pages_at: where the slide's page of a TIFF file begins, in bytes, and those of its levels; else empty.
    """

    format: str
    size: Size
    stored_size: Size
    mode: str
    bits: int
    orientation: int
    pages: int
    mpp: float | None
    lossy: bool
    levels: tuple[Size, ...]
    notes: tuple[str, ...]
    pages_at: tuple[int, ...] = ()


def make_header(  # noqa: PLR0913 - one argument per fact, all by name
    *,
    format: str,  # noqa: A002 - the word every reader expects
    stored_size: Size,
    mode: str,
    bits: int,
    orientation: int = 1,
    pages: int = 1,
    mpp: float | None = None,
    lossy: bool = False,
    profile: bool = False,
    levels: tuple[Size, ...] = (),
    notes: tuple[str, ...] = (),
    pages_at: tuple[int, ...] = (),
) -> SlideHeader:
    """Join what a format's parser found with the notes that follow from it.

    Raises:
        ValueError: the image has no pixels.
    """
    if stored_size.width <= 0 or stored_size.height <= 0:
        raise ValueError(f"its header says {stored_size.width} x {stored_size.height} pixels")
    messages = list(notes)
    if orientation != 1:
        messages.append(f"EXIF orientation {orientation}: {ORIENTATIONS[orientation]}")
    if profile:
        messages.append("embedded colour profile not applied")
    return SlideHeader(
        format=format,
        size=oriented_size(stored_size, orientation),
        stored_size=stored_size,
        mode=mode,
        bits=bits,
        orientation=orientation,
        pages=pages,
        mpp=mpp,
        lossy=lossy,
        levels=levels,
        notes=tuple(messages),
        pages_at=pages_at,
    )


def plausible_mpp(x_um: float, y_um: float) -> float | None:
    """Microns per pixel where both directions agree to 1 % and a microscope can have made them, else None."""
    low, high = _PLAUSIBLE_MPP
    if not (math.isfinite(x_um) and math.isfinite(y_um) and low <= x_um <= high):
        return None
    return x_um if abs(x_um - y_um) <= 0.01 * x_um else None


def omissions(notes: Iterable[str]) -> tuple[str, ...]:
    """What a reader left out that could be image data, from its notes: further pages, planes, channels, frames."""
    return tuple(note.removeprefix(OMITTED) for note in notes if note.startswith(OMITTED))
