"""Read masks, whatever way their foreground is written."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import cv2
import numpy as np

from tilewise.cohort.foreground import Mask, by_numbers, foreground
from tilewise.cohort.geojson import SUFFIX, read_outlines
from tilewise.cohort.slide import Slide
from tilewise.errors import MaskError, MaskSizeError, SlideError
from tilewise.slides import (
    DEFAULT_MAX_PIXELS,
    Samples,
    SlideHeader,
    omissions,
    overview_size,
    read_header,
    read_indices,
    read_samples,
    slide_exists,
)
from tilewise.slides.header import OMITTED
from tilewise.slides.orientation import orient, oriented_size
from tilewise.store import digest_bytes
from tilewise.units import Size

_SAME_PROPORTIONS: Final = 0.02
# A mask with more than this many times the slide's pixels is not worth the memory.
_MOST_ENLARGED: Final = 16
_EMPTY: Final = "mask empty: it marks no pixel"


def read_mask(slide: Slide, size: Size, *, inverted: bool = False) -> tuple[Mask, tuple[str, ...]]:
    """Read a slide's mask: where it marks the region of interest.

    Any value but 0 is foreground: 0/255, 0/1, label numbers, instance numbers; of several values without a 0, all but
    the lowest. Of palettes and colours it is what is not black, or not white where nothing is black; a palette that
    shows all values alike is passed over. Greys of a smoothed or JPEG-compressed mask are cut at half of their highest
    value. Transparent pixels are background.

    The mask of a slide with several levels, or of more than 100 megapixels, may have been drawn on any level: its size
    is the slide's or smaller in the same proportions (to within 2 %). A `.geojson` file holds outlines instead
    (`read_outlines`).

    Args:
        slide: with a `mask_path`.
        size: of the slide, level 0 after rotation.
        inverted: take it the other way round: what is not white, or has not the highest value, is foreground.

    Returns:
        bool (H, W) in the size of the slide's overview (`overview_size`: level 0 up to 100 megapixels), maybe False
        everywhere; and what was taken for what.

    Raises:
        MaskSizeError: it is of another size than the slide.
        MaskError: there is no mask, or it cannot be read.
    """
    if slide.mask_path is None:
        raise MaskError(f"{slide.slide_id}: it has no mask; add one, or name it in the column `mask`")
    if slide.mask_path.suffix.lower() == SUFFIX:
        return _outlined(slide, slide.mask_path, size, inverted=inverted)
    try:
        header = read_header(slide.mask_path)
        turn, notes = _turn(slide, header, size)
        notes += [f"{OMITTED}of its mask, {part}" for part in omissions(header.notes)]
        samples = read_samples(
            slide.mask_path, max_pixels=size.area if overview_size(size) == size else DEFAULT_MAX_PIXELS
        )
    except SlideError as error:
        if isinstance(error, MaskError):
            raise
        raise MaskError(f"{slide.slide_id}: its mask cannot be used: {error}") from error
    samples, alike = _by_palette_index(slide.mask_path, samples, header)
    name = f"{slide.slide_id}: mask {slide.mask_path.name}"
    mask, taken = foreground(samples, lossy=header.lossy, inverted=inverted, name=name)
    mask, notes = _scaled(orient(mask, turn), overview_size(size)), [*notes, *alike, *taken]
    if not mask.any():
        notes.append(_EMPTY)
    return mask, tuple(notes)


def read_scaled_mask(slide: Slide, size: Size, *, inverted: bool = False) -> tuple[Mask, tuple[str, ...]]:
    """Read a mask that was drawn on the slide at another scale, and scale it to the slide; else as `read_mask`.

    Raises:
        MaskSizeError: its proportions are not the slide's (to within 2 %), so it was drawn on something else.
        MaskError: as `read_mask`.
    """
    try:
        return read_mask(slide, size, inverted=inverted)
    except MaskSizeError:
        own = read_header(slide.mask_path).size if slide.mask_path is not None else size
        if not _is_scaled(own, size) or own.area > _MOST_ENLARGED * size.area:
            raise
    mask, notes = read_mask(slide, own, inverted=inverted)
    scaled = cv2.resize(mask.astype(np.uint8), overview_size(size), interpolation=cv2.INTER_NEAREST).astype(np.bool_)
    return scaled, (*notes, f"mask scaled from {own.width} x {own.height} to the slide's size")


def mask_digest(mask: Mask) -> str:
    """Digest of a mask's pixels and size: equal for equal masks, whatever their files."""
    height, width = mask.shape
    return digest_bytes(f"{width}x{height}:".encode() + np.packbits(mask).tobytes())


def _outlined(slide: Slide, path: Path, size: Size, *, inverted: bool) -> tuple[Mask, tuple[str, ...]]:
    try:
        mask, notes = read_outlines(path, size)
    except MaskError as error:
        raise MaskError(f"{slide.slide_id}: its mask cannot be used: {error}") from error
    mask = ~mask if inverted else mask
    return mask, notes if mask.any() else (*notes, _EMPTY)


def _by_palette_index(path: Path, samples: Samples, header: SlideHeader) -> tuple[Samples, tuple[str, ...]]:
    """The numbers of an indexed mask whose palette has one colour for all that it holds; else its samples."""
    if header.mode != "palette" or not (samples.pixels == samples.pixels[0, 0]).all():
        return samples, ()
    indices = read_indices(path)
    if not np.ptp(indices):
        return samples, ()
    numbers, note = by_numbers(indices)
    return numbers, (note,)


def _turn(slide: Slide, header: SlideHeader, size: Size) -> tuple[int, list[str]]:
    """How the mask has to be turned to lie on the slide as it is seen: 1, or the slide's own EXIF orientation."""
    stored = read_header(slide.path).orientation if slide_exists(slide.path) and header.orientation == 1 else 1
    if header.size == size:
        turned = f"slide turned by EXIF orientation {stored}; its mask taken as drawn on the turned slide"
        return 1, [turned] if stored != 1 else []
    if stored >= 5 and oriented_size(header.size, stored) == size:
        return stored, [f"mask drawn on the slide as stored, and turned with it (EXIF orientation {stored})"]
    if _is_of_level(slide, header.size, size):
        return 1, [f"mask of {header.size.width} x {header.size.height} pixels taken for one of the slide's levels"]
    step = "draw it on this slide again, or pair the slide with its own mask"
    if _is_scaled(header.size, size):
        step = (
            f"scale it by {size.width / header.size.width:.4g} without smoothing, or pair the slide with its own mask"
        )
    raise MaskSizeError(
        f"{slide.slide_id}: mask {slide.mask_path} is {header.size.width} x {header.size.height} pixels, the slide "
        f"{size.width} x {size.height}; {step}"
    )


def _is_of_level(slide: Slide, own: Size, size: Size) -> bool:
    """Whether a mask of this size may be drawn on a lower level of the slide."""
    if own.width > size.width or own.height > size.height or not _is_scaled(own, size):
        return False
    return overview_size(size) != size or (slide_exists(slide.path) and len(read_header(slide.path).levels) > 1)


def _scaled(mask: Mask, size: Size) -> Mask:
    """A mask in this size: enlarged pixel by pixel, or reduced to where at least half is marked."""
    height, width = mask.shape
    if (width, height) == size:
        return mask
    if width <= size.width and height <= size.height:
        return np.asarray(cv2.resize(mask.view(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0)
    plane = mask.astype(np.uint8) * np.uint8(255)
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA) >= 128)


def _is_scaled(one: Size, other: Size) -> bool:
    return abs(one.width * other.height / (one.height * other.width) - 1) < _SAME_PROPORTIONS
