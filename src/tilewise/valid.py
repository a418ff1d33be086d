"""Which pixels of a picture show the slide: not padding, frames, scanner fill and the dark around a field of view.

Padding is told by what no camera makes: one and the same colour over a large area that ends in straight lines, or black
along a whole side or in a corner. It is looked for on every so many pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.units import Box

Rgb = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

WORKING_SIDE: Final = 768
# Of the picture: a smaller piece is no padding, and of a smaller rest nothing can be said.
_SMALLEST, _LEAST_VALID, _ALL, _STRAY = 0.002, 0.02, 0.998, 0.01
# Black is darker than this share of the light, in every channel; tissue lets more through in one of them.
_BLACK: Final = 0.10
# Black along this share of a side is a frame, not ink.
_ALONG_SIDE: Final = 0.6
# Grey levels: one colour, of no hue; padding that is as white as glass must be clipped white.
_ONE_COLOUR, _NO_HUE, _WHITE, _DARKER = 1, 6, 253, 0.9
# A colour of padding holds this share of the pixels along the sides.
_OF_SIDES: Final = 0.02
# Share of an outline that lies on straight lines of this share of the longer side, and how far off a line may run.
_STRAIGHT, _LONG, _OFF_LINE_PX = 0.8, 0.2, 3.0
# Working pixels at an edge of padding that may hold some of both.
_MIXED_PX: Final = 1


@dataclass(frozen=True)
class ValidField:
    """Where a picture shows the slide.

    Attributes:
        box: the smallest box that holds every valid pixel, in pixels of the picture.
        mask: bool (box.height, box.width), the valid pixels within the box; None where all are.
        is_whole: whether the box is the whole picture.
    """

    box: Box
    mask: Mask | None
    is_whole: bool

    def crop(self, plane: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The part of a picture or mask (H, W, ...) within the box; a view."""
        return plane if self.is_whole else plane[self.box.rows, self.box.columns]

    def picture(self, rgb: Rgb) -> Rgb:
        """What is to be looked at: the box of a picture, with the colour of its glass where it is not valid."""
        inner: Rgb = self.crop(rgb)
        if self.mask is None:
            return inner
        inner = inner.copy()
        inner[~self.mask] = _glass_colour(inner, self.mask)
        return inner

    def paste(self, inner: Mask, shape: tuple[int, int]) -> Mask:
        """A mask of the box laid into a mask of the whole picture; nothing outside the valid pixels is marked."""
        inner = inner if self.mask is None else inner & self.mask
        if self.is_whole:
            return inner
        whole = np.zeros(shape, dtype=bool)
        whole[self.box.rows, self.box.columns] = inner
        return whole


def valid_field(rgb: Rgb) -> ValidField:
    """Find the part of a picture that shows the slide.

    Args:
        rgb: uint8 (H, W, 3).

    Returns:
        The whole picture where nothing in it is padding, or nearly everything.
    """
    height, width = rgb.shape[:2]
    whole = ValidField(Box(0, 0, width, height), None, is_whole=True)
    # Single pixels and no means: a mean mixes padding with its neighbours, and takes the noise off glass.
    step = -(-max(height, width) // WORKING_SIDE)
    padding = _padding(np.ascontiguousarray(rgb[::step, ::step]))
    if not padding.any():
        return whole
    mixed = 2 * _MIXED_PX + 1
    valid = cv2.erode((~padding).view(np.uint8), np.ones((mixed, mixed), np.uint8), borderValue=1)
    if valid.mean() < _LEAST_VALID:
        return whole
    x, y, box_width, box_height = _box(valid)
    part = valid[y : y + box_height, x : x + box_width]
    right = width if x + box_width == valid.shape[1] else (x + box_width) * step
    bottom = height if y + box_height == valid.shape[0] else (y + box_height) * step
    box = Box(x * step, y * step, right - x * step, bottom - y * step)
    mask = None
    if part.mean() < _ALL:
        grown = np.repeat(np.repeat(part, step, axis=0), step, axis=1)[: box.height, : box.width]
        mask = np.ascontiguousarray(grown).view(np.bool_)
    return ValidField(box, mask, is_whole=(box.width, box.height) == (width, height))


def _box(valid: npt.NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """The smallest box that holds all but a pixel or two along its sides: x, y, width, height."""
    columns, rows = (np.flatnonzero(valid.mean(axis=axis) > _STRAY) for axis in (0, 1))
    x, y = int(columns[0]), int(rows[0])
    return x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1


def _padding(small: Rgb) -> Mask:
    """Pixels of a thinned picture that are padding; bool (h, w)."""
    red, green, blue = cv2.split(small)
    highest = np.asarray(cv2.max(cv2.max(red, green), blue), np.uint8)
    lowest = np.asarray(cv2.min(cv2.min(red, green), blue), np.uint8)
    black = highest < _BLACK * _light(highest) + 2
    padding = _black_frames(black) if np.count_nonzero(black) >= _SMALLEST * black.size else np.zeros_like(black)
    for level in _levels(highest, lowest, padding):
        one_colour = cv2.inRange(lowest, max(0, level - _ONE_COLOUR), min(255, level + _ONE_COLOUR))
        one_colour &= cv2.inRange(highest, max(0, level - _NO_HUE), min(255, level + _NO_HUE))
        # Noise has a pixel of that colour here and there; JPEG has other ones within a block of an edge.
        flat = cv2.morphologyEx(one_colour, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        padding |= _straight_pieces(cv2.morphologyEx(flat, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8)) > 0)
    return padding


def _light(highest: npt.NDArray[np.uint8]) -> float:
    """The brightest level, of what is not black."""
    counts = _counts(highest)
    counts[: np.flatnonzero(counts)[-1] // 4 + 1] = 0
    total = np.cumsum(counts)
    return float(np.searchsorted(total, 0.99 * total[-1]))


def _levels(highest: npt.NDArray[np.uint8], lowest: npt.NDArray[np.uint8], padding: Mask) -> list[int]:
    """Grey levels along the sides that may be padding: clipped white, and those that are darker than any glass."""
    sides = (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1])
    num = sum(lowest.shape) * 2
    grey = [lowest[side][(highest[side] - lowest[side] <= _NO_HUE) & ~padding[side]] for side in sides]
    counts = _counts(np.concatenate(grey)) if sum(map(len, grey)) else np.zeros(256)
    levels = [int(level) for level in np.argsort(-counts, kind="stable")[:3] if counts[level] > _OF_SIDES * num]
    if not levels:
        return []
    everywhere = np.flatnonzero(_counts(highest) > _SMALLEST * highest.size)
    brightest = int(everywhere[-1]) if everywhere.size else 255
    return [level for level in levels if level >= _WHITE or level < _DARKER * brightest]


def _counts(plane: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    counts: npt.NDArray[np.float32] = cv2.calcHist([plane], [0], None, [256], [0, 256])[:, 0]
    return counts


def _black_frames(black: Mask) -> Mask:
    """Pieces of black along a side, in a corner, or with straight edges."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(black.astype(np.uint8), connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] >= max(4.0, _SMALLEST * black.size)
    large[0] = False
    along_side = np.zeros(len(large), dtype=bool)
    for side in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        shares = np.bincount(side, minlength=len(large)) / side.size
        along_side |= shares >= _ALONG_SIDE
        along_side[[side[0], side[-1]]] = True
    frames = np.asarray((along_side & large)[labels])
    return frames | _straight_pieces(np.asarray((large & ~along_side)[labels]))


def _straight_pieces(region: Mask) -> Mask:
    """Pieces of a region that are large enough and, inside the picture, end in straight lines."""
    height, width = region.shape
    num, labels, stats, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8), connectivity=8)
    is_straight = np.zeros(num, dtype=bool)
    for label in range(1, num):
        x, y, box_width, box_height, area = (int(value) for value in stats[label])
        if area < max(4.0, _SMALLEST * region.size):
            continue
        part = np.pad((labels[y : y + box_height, x : x + box_width] == label).astype(np.uint8), 1)
        outlines, _ = cv2.findContours(part, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        is_straight[label] = _straight_share(outlines, offset=(x - 1, y - 1), size=(width, height)) >= _STRAIGHT
    return np.asarray(is_straight[labels])


def _straight_share(outlines: Any, *, offset: tuple[int, int], size: tuple[int, int]) -> float:
    """Share of outlines inside a picture that lies on long straight lines; 0 where none lies inside."""
    straight = total = 0.0
    last = np.array(size) - 1
    for outline in outlines:
        corners = cv2.approxPolyDP(outline, _OFF_LINE_PX, closed=True)[:, 0] + np.array(offset)
        for one, two in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            if ((one == two) & ((one <= 0) | (one >= last))).any():
                continue  # along the side of the picture
            length = float(np.hypot(*(two - one))) + 1.0
            total += length
            straight += length * (length >= _LONG * max(size))
    return straight / total if total else 0.0


def _glass_colour(rgb: Rgb, valid: Mask) -> npt.NDArray[np.uint8]:
    """The level that a tenth of the valid pixels exceed, for each channel, a little below white."""
    step = max(1, int((valid.size / 60_000) ** 0.5))
    pixels = rgb[::step, ::step][valid[::step, ::step]]
    pixels = pixels if len(pixels) else rgb[valid]
    return np.minimum(np.percentile(pixels, 90, axis=0), _WHITE - 1).astype(np.uint8)
