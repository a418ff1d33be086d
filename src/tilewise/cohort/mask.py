"""Read masks, whatever way their foreground is written."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.cohort.slide import Slide
from tilewise.errors import MaskError, MaskSizeError, SlideError
from tilewise.slides import Samples, SlideHeader, header, left_out, read_samples
from tilewise.slides.left_out import LEFT_OUT
from tilewise.slides.orientation import orient, oriented_size
from tilewise.slides.samples import to_rgb
from tilewise.store import digest_bytes
from tilewise.units import Size

Mask = npt.NDArray[np.bool_]

# Label images hold a few values; smoothed or resampled masks hold many and reach (nearly) full scale.
_MOST_LABELS: Final = 8
_NEARLY_FULL: Final = 0.78
# JPEG turns a pure mask into greys; values as low as these cannot be told from its noise.
_LOWEST_LOSSY: Final = 32
_SAME_PROPORTIONS: Final = 0.02
# A mask with more than this many times the slide's pixels is not worth the memory.
_MOST_ENLARGED: Final = 16
_NOT_BINARY: Final = (
    "coloured mask",
    "JPEG-compressed mask",
    "grey mask",
    "mask values",
    "mask painted",
    "transparent",
)
_COLORED: Final = "coloured mask: all but black taken as foreground"


def read_mask(slide: Slide, size: Size) -> tuple[Mask, tuple[str, ...]]:
    """Read a slide's mask: where it marks the region of interest.

    Any value but 0 is foreground: 0/255, 0/1, label numbers, instance numbers, palettes and colours by what is not
    black. Greys of a smoothed or JPEG-compressed mask are cut at half of their highest value. Transparent pixels are
    background.

    Args:
        slide: with a `mask_path`.
        size: of the slide, level 0 after rotation.

    Returns:
        bool (H, W) in the slide's frame, maybe False everywhere; and what was taken for what.

    Raises:
        MaskSizeError: it is of another size than the slide.
        MaskError: there is no mask, or it cannot be read.
    """
    if slide.mask_path is None:
        raise MaskError(f"{slide.slide_id}: it has no mask; add one, or name it in the column `mask`")
    try:
        found = header(slide.mask_path)
        turn, notes = _turn(slide, found, size)
        notes += [f"{LEFT_OUT}of its mask, {part}" for part in left_out(found.notes)]
        samples = read_samples(slide.mask_path, max_pixels=size.width * size.height)
    except SlideError as error:
        if isinstance(error, MaskError):
            raise
        raise MaskError(f"{slide.slide_id}: its mask cannot be used: {error}") from error
    mask = orient(_foreground(samples, found, notes, name=f"{slide.slide_id}: mask {slide.mask_path.name}"), turn)
    if not mask.any():
        notes.append("mask empty: it marks no pixel")
    return mask, tuple(notes)


def read_scaled_mask(slide: Slide, size: Size) -> tuple[Mask, tuple[str, ...]]:
    """Read a mask that was drawn on the slide at another scale, and scale it to the slide; else as `read_mask`.

    Raises:
        MaskSizeError: its proportions are not the slide's (to within 2 %), so it was drawn on something else.
        MaskError: as `read_mask`.
    """
    try:
        return read_mask(slide, size)
    except MaskSizeError:
        own = header(slide.mask_path).size if slide.mask_path is not None else size
        if not _is_scaled(own, size) or own.area > _MOST_ENLARGED * size.area:
            raise
    mask, notes = read_mask(slide, own)
    scaled = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST).astype(np.bool_)
    return scaled, (*notes, f"mask scaled from {own.width} x {own.height} to the slide's size")


def not_binary(notes: tuple[str, ...]) -> tuple[str, ...]:
    """Those of `read_mask`'s notes that tell of a mask that is not plainly foreground and background."""
    return tuple(note for note in notes if note.startswith(_NOT_BINARY))


def mask_digest(mask: Mask) -> str:
    """Digest of a mask's pixels and size: equal for equal masks, whatever their files."""
    height, width = mask.shape
    return digest_bytes(f"{width}x{height}:".encode() + np.packbits(mask).tobytes())


def _turn(slide: Slide, found: SlideHeader, size: Size) -> tuple[int, list[str]]:
    """How the mask has to be turned to lie on the slide as it is seen: 1, or the slide's own EXIF orientation."""
    stored = header(slide.path).orientation if slide.path.is_file() and found.orientation == 1 else 1
    if found.size == size:
        turned = f"slide turned by EXIF orientation {stored}; its mask taken as drawn on the turned slide"
        return 1, [turned] if stored != 1 else []
    if stored >= 5 and oriented_size(found.size, stored) == size:
        return stored, [f"mask drawn on the slide as stored, and turned with it (EXIF orientation {stored})"]
    step = "draw it on this slide again, or pair the slide with its own mask"
    if _is_scaled(found.size, size):
        step = f"scale it by {size.width / found.size.width:.4g} without smoothing, or pair the slide with its own mask"
    raise MaskSizeError(
        f"{slide.slide_id}: mask {slide.mask_path} is {found.size.width} x {found.size.height} pixels, the slide "
        f"{size.width} x {size.height}; {step}"
    )


def _is_scaled(one: Size, other: Size) -> bool:
    return abs(one.width * other.height / (one.height * other.width) - 1) < _SAME_PROPORTIONS


def _foreground(samples: Samples, found: SlideHeader, notes: list[str], *, name: str) -> Mask:
    values = _one_plane(samples, notes)
    present = _values_present(values)
    highest = int(present[-1])
    if found.lossy and 0 < highest < _LOWEST_LOSSY:
        raise MaskError(
            f"{name} is JPEG-compressed and reaches only {highest} of {samples.top}, no more than its noise may; "
            "save it as PNG"
        )
    grey = len(present) > _MOST_LABELS and highest >= _NEARLY_FULL * samples.top and _COLORED not in notes
    if found.lossy or grey:
        cut = (highest + 1) // 2
        kind = "JPEG-compressed" if found.lossy else "grey"
        notes.append(f"{kind} mask cut at half of its highest value ({max(cut, 1)} of {samples.top})")
        return np.asarray(values >= max(cut, 1), dtype=np.bool_)
    if len(present) > 2 or highest not in {0, 1, samples.top}:
        listed = ", ".join(map(str, present[:6])) + (", ..." if len(present) > 6 else "")
        notes.append(f"mask values {listed}: all but 0 taken as foreground")
    return np.asarray(values != 0, dtype=np.bool_)


def _values_present(values: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    # Nearly every mask holds 0 and one value more. Two passes tell, where counting all values is a slow one.
    highest = int(values.max())
    num_marked = cv2.countNonZero(values)
    if highest and cv2.countNonZero(cv2.compare(values, highest, cv2.CMP_EQ)) == num_marked:
        return np.array([0, highest] if num_marked < values.size else [highest], dtype=np.intp)
    # OpenCV counts 8- and 16-bit values in place; NumPy would make 8 bytes of each pixel first.
    levels = int(np.iinfo(values.dtype).max) + 1
    return np.flatnonzero(cv2.calcHist([values], [0], None, [levels], [0, levels]))


def _one_plane(samples: Samples, notes: list[str]) -> npt.NDArray[Any]:
    """One value per pixel, 0 where the picture is black or cannot be seen."""
    pixels: npt.NDArray[Any] = samples.pixels
    if samples.kind == "grey":
        return pixels.reshape(pixels.shape[:2])
    if samples.kind == "cmyk":
        pixels = to_rgb(samples)[0]
    has_alpha = samples.kind in {"grey+alpha", "rgba"}
    colour = pixels[:, :, :-1] if has_alpha else pixels
    plane: npt.NDArray[Any] = colour.max(axis=2)
    if colour.shape[2] == 3 and (plane != colour.min(axis=2)).any():
        notes.append(_COLORED)
    if not has_alpha:
        return plane
    seen = pixels[:, :, -1] > samples.top // 2
    if seen.all() or (not seen.any() and np.ptp(plane)):
        return plane  # alpha tells no pixel from another
    if not seen.any():
        return np.zeros_like(plane)
    if np.ptp(plane[seen]) == 0:
        notes.append("mask painted in one colour on nothing: taken by its alpha")
        return np.where(seen, samples.top, 0).astype(pixels.dtype)
    notes.append("transparent pixels of the mask taken as background")
    return np.where(seen, plane, 0)
