"""Spots of ink on a reduced image of the slide: seeds first, then the loose shell that touches them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from tilewise.auditing.ink.colours import RULES, ReducedImage
from tilewise.auditing.ink.facts import Colour
from tilewise.auditing.ink.fields import Bool, dilate, fill_holes

# Shares of the slide. A first spot of a colour must have this many seeds; once the colour is there, drops count too.
_FIRST_SEEDS: Final[dict[Colour, float]] = {
    "green": 4e-4,
    "blue": 12e-4,
    "red": 8e-4,
    "yellow": 6e-4,
    "black": 6e-4,
}
_FEWEST_SEEDS, _FEWEST_DROP_PX = 20, 12
# Highlights are holes in the colour; a hole larger than this share of its spot is something seen through it.
_LARGEST_HOLE = 0.2
# Paint may lose its colour towards white over this many pixels of the reduced image without being two spots.
_JOIN_PX = 2


@dataclass(frozen=True)
class Spot:
    """One connected spot on the reduced image.

    Attributes:
        colour: of the ink.
        region: bool (h, w), seeds, shell and highlights.
        seeds: bool (h, w), where the ink's own colour is beyond doubt.
        confidence: 0 to 1.
    """

    colour: Colour
    region: Bool
    seeds: Bool
    confidence: float

    @property
    def area(self) -> int:
        """Pixels of the reduced image."""
        return int(np.count_nonzero(self.region))


def find_spots(image: ReducedImage) -> tuple[Spot, ...]:
    """All spots, largest first. No pixel belongs to two."""
    candidates = [spot for colour in RULES for spot in _of_colour(image, colour)]
    candidates.sort(key=lambda spot: (-spot.area, spot.colour))
    occupied = np.zeros(image.rgb.shape[:2], dtype=bool)
    spots = []
    for spot in candidates:
        region, seeds = spot.region & ~occupied, spot.seeds & ~occupied
        if np.count_nonzero(seeds) >= _FEWEST_DROP_PX:
            spots.append(Spot(spot.colour, region, seeds, spot.confidence))
            occupied |= region
    return tuple(spots)


def _of_colour(image: ReducedImage, colour: Colour) -> Iterator[Spot]:
    rule = RULES[colour]
    strict = rule.strict(image)
    first = max(_FEWEST_SEEDS, round(_FIRST_SEEDS[colour] * strict.size))
    if np.count_nonzero(strict) < first:
        return
    loose = rule.loose(image) | strict
    seeds = rule.seeds(image, strict, loose).astype(np.uint8)
    seeds = cv2.morphologyEx(seeds, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    if np.count_nonzero(seeds) < first:
        return
    num, labels, stats, _ = cv2.connectedComponentsWithStats(loose.astype(np.uint8), connectivity=8)
    in_seeds = np.bincount(labels[seeds > 0], minlength=num)
    enough = in_seeds >= np.maximum(_FEWEST_DROP_PX, rule.seed_share * stats[:, cv2.CC_STAT_AREA])
    enough[0] = False
    if not (enough & (in_seeds >= first)).any():
        return
    yield from _join_parts(enough[labels], seeds.astype(bool), colour, first=first)


def _join_parts(region: Bool, seeds: Bool, colour: Colour, *, first: int) -> Iterator[Spot]:
    """Parts of one spot that a highlight or a fold of the tissue beneath parts are one spot."""
    num, labels, stats, _ = cv2.connectedComponentsWithStats(dilate(region, _JOIN_PX).astype(np.uint8), connectivity=8)
    for label in range(1, num):
        x, y, width, height = stats[label, :4]
        rows, columns = slice(y, y + height), slice(x, x + width)
        part = region[rows, columns] & (labels[rows, columns] == label)
        framed = np.pad(part, _JOIN_PX + 1)
        closed = cv2.morphologyEx(
            framed.astype(np.uint8),
            cv2.MORPH_CLOSE,
            cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _JOIN_PX + 1, 2 * _JOIN_PX + 1)),
        ).astype(bool)
        closed = fill_holes(closed, largest=_LARGEST_HOLE * np.count_nonzero(part))
        inner = slice(_JOIN_PX + 1, -_JOIN_PX - 1)
        whole = np.zeros_like(region)
        whole[rows, columns] = closed[inner, inner]
        own = whole & seeds
        num_seeds = np.count_nonzero(own)
        if num_seeds:
            sure = min(1.0, num_seeds / (4.0 * first)) * min(1.0, num_seeds / (0.6 * np.count_nonzero(part)))
            yield Spot(colour, whole, own, round(float(0.6 + 0.4 * sure), 3))
