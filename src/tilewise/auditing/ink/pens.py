"""Pen lines on bare glass: too thin for the rules that blobs are told by."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.auditing.ink.colours import ReducedImage
from tilewise.auditing.ink.facts import Colour, InkSpot
from tilewise.auditing.ink.fields import Bool, dilate

# Lines are looked for where at least this share of the slide is bare glass; fields within tissue have none.
_LEAST_GLASS: Final = 0.4
# Of the glass's light, in the channel that loses most: a line takes this much, bare glass no more than that.
_ABSORBED, _BARE = 0.16, 0.07
# On the reduced image: a line is this long at least, at most so wide, and so many times longer than wide.
_LENGTH_PX, _HALF_WIDTH_PX, _ELONGATED = 11, 3.2, 2.5
# All but this share of what lies around a line is bare glass.
_AROUND_PX, _NOT_BARE = 4, 0.03
# A pen has one colour: spread of the hue's direction, of which tissue has more.
_SPREAD = 0.10
_MOST_MARKS = 300
_CONFIDENCE = 0.7


def find_pens(image: ReducedImage) -> tuple[InkSpot, ...]:
    """Thin, even lines in a pen's colour that stand apart on bare glass.

    Args:
        image: the slide, reduced.

    Returns:
        One spot per line, largest first; they lie on glass, so they cover neither tissue nor mask.
    """
    # Light absorbed by channel, against the glass, without the reduced image's smoothing: lines are thin.
    absorbed = np.clip(1.0 - image.rgb.astype(np.float32) / image.glass, 0.0, 1.0)
    strongest = cv2.max(cv2.max(*cv2.split(absorbed)[:2]), cv2.split(absorbed)[2])
    bare = strongest < _BARE
    if float(bare.mean()) < _LEAST_GLASS:
        return ()
    marks = (strongest > _ABSORBED).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(marks, connectivity=8)
    long = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]) >= _LENGTH_PX
    candidates = np.flatnonzero(long)[1:]
    if not 0 < candidates.size <= _MOST_MARKS:
        return ()
    lines = [_line(absorbed, bare, labels, stats[label], int(label)) for label in candidates]
    spots = [_spot(line, image) for line in lines if line is not None]
    return tuple(sorted(spots, key=lambda spot: (-spot.area_share, spot.x, spot.y)))


def _line(
    absorbed: npt.NDArray[np.float32],
    bare: Bool,
    labels: npt.NDArray[np.int32],
    stats: npt.NDArray[np.int32],
    label: int,
) -> tuple[Colour, tuple[int, int, int, int], int] | None:
    """Colour, box and area of a component on the reduced image if it is a line."""
    x, y, width, height, area = (int(value) for value in stats)
    rows = slice(max(0, y - _AROUND_PX), y + height + _AROUND_PX)
    columns = slice(max(0, x - _AROUND_PX), x + width + _AROUND_PX)
    own = labels[rows, columns] == label
    half_width = float(cv2.distanceTransform(np.pad(own, 1).astype(np.uint8), cv2.DIST_L2, 5).max())
    if half_width > _HALF_WIDTH_PX or area < _ELONGATED * np.pi * half_width**2:
        return None
    ring = dilate(own, _AROUND_PX) & ~dilate(own, 2)
    if float((~bare[rows, columns])[ring].mean()) > _NOT_BARE:
        return None
    colour = _colour(absorbed[rows, columns][own])
    return None if colour is None else (colour, (x, y, width, height), area)


def _spot(line: tuple[Colour, tuple[int, int, int, int], int], image: ReducedImage) -> InkSpot:
    colour, (x, y, width, height), area = line
    return InkSpot(
        colour=colour,
        kind="pen",
        x=int(x / image.scale),
        y=int(y / image.scale),
        width=max(1, round(width / image.scale)),
        height=max(1, round(height / image.scale)),
        area_share=round(area / (image.rgb.shape[0] * image.rgb.shape[1]), 6),
        tissue_share=0.0,
        mask_share=0.0,
        on_tissue=False,
        confidence=_CONFIDENCE,
    )


def _colour(absorbed: npt.NDArray[np.float32]) -> Colour | None:
    """The pen's colour by which channels lose light, (n, 3); None for the colours of dyes or for many at once.

    A thin line is mixed with glass, which changes how much light is lost but not the proportions.
    """
    part = absorbed / np.maximum(absorbed.max(axis=1, keepdims=True), np.float32(1e-6))
    if float(part.std(axis=0).max()) > _SPREAD:
        return None
    red, green, blue = (float(value) for value in np.median(part, axis=0))
    if min(red, green, blue) > 0.85:
        return "black"
    if red > 0.97 and blue < 0.8 and blue < green:
        return "blue"
    if green < 0.8 and green < blue and red > 0.9:
        return "green"
    if red < 0.55 and blue > 0.85:
        return "red"
    return None
