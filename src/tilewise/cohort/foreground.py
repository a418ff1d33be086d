"""What a mask's picture marks: values, greys, colours, palettes and transparency, and the same the other way round."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.errors import MaskError
from tilewise.slides import Samples
from tilewise.slides.samples import to_rgb

Mask = npt.NDArray[np.bool_]
Plane = npt.NDArray[Any]

# Label images hold a few values; smoothed or resampled masks hold many and reach (nearly) full scale.
_MOST_LABELS: Final = 8
_NEARLY_FULL: Final = 0.78
# JPEG turns a pure mask into greys; differences as small as these cannot be told from its noise.
_JPEG_NOISE: Final = 32
# So much of a lossy picture has to be black, or white, to be its background: ringing makes single pixels of both.
_LEAST_LOSSY_SHARE: Final = 1e-3
_COLORED: Final = "coloured mask"
_NOT_BINARY: Final = (
    _COLORED,
    "JPEG-compressed mask",
    "grey mask",
    "mask values",
    "mask painted",
    "palette of the mask",
    "transparent",
)


def foreground(samples: Samples, *, lossy: bool, inverted: bool, name: str) -> tuple[Mask, list[str]]:
    """Tell what is marked from what is background.

    Args:
        samples: of the mask.
        lossy: whether its compression changes values.
        inverted: take it the other way round: white, or the highest of its values, is the background.
        name: of the mask, for errors.

    Returns:
        bool (H, W), and what was taken for what.

    Raises:
        MaskError: nothing in it can be told from the noise of its compression.
    """
    notes: list[str] = []
    values, turned = _one_plane(samples, notes, lossy=lossy, inverted=inverted)
    present = _values_present(values)
    highest = int(present[-1])
    if lossy and 0 < highest < _JPEG_NOISE:
        raise MaskError(
            f"{name} is JPEG-compressed and reaches only {highest} of {samples.top}, no more than its noise may; "
            "save it as PNG"
        )
    colored = any(note.startswith(_COLORED) for note in notes)
    grey = len(present) > _MOST_LABELS and highest >= _NEARLY_FULL * samples.top and not colored
    if lossy or grey:
        marked = values >= _threshold(present, "JPEG-compressed" if lossy else "grey", samples.top, notes)
        return np.asarray(marked if turned == inverted else ~marked, dtype=np.bool_), notes
    background = _background(present, samples.top, notes)
    if not inverted or turned:
        marked = values != background
    elif colored or len(present) == 1:
        marked = values == background
    else:
        # Of labels on white, white alone is the background, and not all but the lowest label.
        marked = values != highest
    return np.asarray(marked, dtype=np.bool_), notes


def not_binary(notes: tuple[str, ...]) -> tuple[str, ...]:
    """Those of `foreground`'s notes that tell of a mask that is not plainly foreground and background."""
    return tuple(note for note in notes if note.startswith(_NOT_BINARY))


def by_numbers(indices: npt.NDArray[Any]) -> tuple[Samples, str]:
    """Samples of an indexed mask whose palette shows all of its values alike, and what is said about it."""
    listed = _listed(np.flatnonzero(np.bincount(indices.ravel())))
    return (
        Samples(indices, "grey", int(np.iinfo(indices.dtype).max)),
        f"palette of the mask shows its values {listed} in one colour: taken by their numbers, 0 as background",
    )


def _threshold(present: npt.NDArray[np.intp], kind: str, top: int, notes: list[str]) -> int:
    lowest, highest = int(present[0]), int(present[-1])
    threshold = max((highest + 1) // 2, 1)
    if lowest >= threshold and highest - lowest >= _JPEG_NOISE:
        threshold = (lowest + highest + 1) // 2
        notes.append(f"{kind} mask cut half-way between its lowest and its highest value ({threshold} of {top})")
    else:
        notes.append(f"{kind} mask cut at half of its highest value ({threshold} of {top})")
    return threshold


def _background(present: npt.NDArray[np.intp], top: int, notes: list[str]) -> int:
    """The value of the background: 0, and in a mask of several values without any 0 the lowest."""
    lowest, highest = int(present[0]), int(present[-1])
    if lowest == 0 or len(present) == 1:
        if len(present) > 2 or highest not in {0, 1, top}:
            notes.append(f"mask values {_listed(present)}: all but 0 taken as foreground")
        return 0
    notes.append(f"mask values {_listed(present)}: none is 0, and {lowest}, the lowest, taken as background")
    return lowest


def _listed(present: npt.NDArray[np.intp]) -> str:
    return ", ".join(map(str, present[:6])) + (", ..." if len(present) > 6 else "")


def _values_present(values: Plane) -> npt.NDArray[np.intp]:
    # Nearly every mask holds 0 and one value more. Two passes tell, where counting all values is a slow one.
    highest = int(values.max())
    num_marked = cv2.countNonZero(values)
    if highest and cv2.countNonZero(cv2.inRange(values, highest, highest)) == num_marked:
        return np.array([0, highest] if num_marked < values.size else [highest], dtype=np.intp)
    # OpenCV counts 8- and 16-bit values in place; NumPy would make 8 bytes of each pixel first.
    levels = int(np.iinfo(values.dtype).max) + 1
    return np.flatnonzero(cv2.calcHist([values], [0], None, [levels], [0, levels]))


def _one_plane(samples: Samples, notes: list[str], *, lossy: bool, inverted: bool) -> tuple[Plane, bool]:
    """One value per pixel, 0 where the picture is background or cannot be seen.

    Returns:
        The plane, and whether it shows the picture the other way round already, as asked for.
    """
    pixels: Plane = samples.pixels
    if samples.kind == "grey":
        return pixels.reshape(pixels.shape[:2]), False
    if samples.kind == "cmyk":
        pixels = to_rgb(samples)[0]
    has_alpha = samples.kind in {"grey+alpha", "rgba"}
    color = pixels[:, :, :-1] if has_alpha else pixels
    if not has_alpha:
        return _from_background(color, samples.top, notes, lossy=lossy, inverted=inverted)
    opaque = pixels[:, :, -1] > samples.top // 2
    if opaque.all() or (not opaque.any() and np.ptp(color.max(axis=2))):  # alpha tells no pixel from another
        return _from_background(color, samples.top, notes, lossy=lossy, inverted=inverted)
    plane: Plane = color.max(axis=2)
    if not opaque.any():
        return np.zeros_like(plane), False
    if np.ptp(plane[opaque]) == 0:
        if _has_hue(color, plane):
            notes.append(f"{_COLORED}: all but black taken as foreground")
        notes.append("mask painted in one colour on nothing: taken by its alpha")
        return np.where(opaque, samples.top, 0).astype(pixels.dtype), False
    notes.append("transparent pixels of the mask taken as background")
    return np.where(opaque, plane, 0), False


def _has_hue(color: Plane, highest: Plane) -> bool:
    return color.shape[2] == 3 and bool((highest != color.min(axis=2)).any())


def _from_background(color: Plane, top: int, notes: list[str], *, lossy: bool, inverted: bool) -> tuple[Plane, bool]:
    """How far each pixel lies from the background: black where there is any, else white, else the picture's edge."""
    from_black: Plane = color.max(axis=2)
    if not _has_hue(color, from_black):
        return from_black, False
    from_white: Plane = top - color.min(axis=2)
    has_black, has_white = _touches(from_black, lossy), _touches(from_white, lossy)
    if has_black or not np.ptp(color.reshape(-1, color.shape[2]), axis=0).any():
        if inverted and has_white:
            return from_white, True
        notes.append(f"{_COLORED}: all but black taken as foreground")
        return from_black, False
    if has_white:
        notes.append(f"{_COLORED} without black: all but white taken as foreground")
        return from_white, False
    notes.append(f"{_COLORED} without black and white: all but the colour along its edge taken as foreground")
    edge = np.concatenate([color[0], color[-1], color[:, 0], color[:, -1]])
    colors, counts = np.unique(edge, axis=0, return_counts=True)
    background = colors[counts.argmax()].astype(np.int32)
    return np.abs(color.astype(np.int32) - background).max(axis=2).astype(color.dtype), False


def _touches(distance: Plane, lossy: bool) -> bool:
    if not lossy:
        return bool((distance == 0).any())
    return float((distance < _JPEG_NOISE).mean()) >= _LEAST_LOSSY_SHARE
