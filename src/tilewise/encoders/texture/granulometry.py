"""Sizes of dark and pale grains, without segmenting any (granulometry).

Serra, Image Analysis and Mathematical Morphology (1982); Maragos, "Pattern spectrum and multiscale shape
representation", IEEE TPAMI 11 (1989). An opening removes bright grains that its disc does not fit into, a closing fills
dark gaps: what discs of growing size take away tells how much structure is smaller than each.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

import cv2
import numpy as np

from tilewise.encoders.texture.planes import Plane, Planes, Pyramid, Values

# (scale, disc diameter there): 10, 20, 28, 44 and 72 px on the tile. Large discs work on small planes, where they cost
# less and a pixel of staircase in their outline matters as little.
_DISCS: Final = ((2, 5), (4, 5), (4, 7), (4, 11), (8, 9))
_KINDS: Final = ("nuclear_grains", "nuclear_gaps", "pale_grains")

NAMES: Final = tuple(
    f"granulometry.{kind}.diameter_{scale * diameter}" for kind in _KINDS for scale, diameter in _DISCS
)


def granulometry(tiles: Sequence[Planes]) -> Values:
    """Log of what discs of five sizes remove, in standard deviations of the plane.

    Nuclear grains are openings of haematoxylin, nuclear gaps its closings, pale grains (lumina, fat, cracks) openings
    of grey.
    """
    return np.log1p(
        [
            [
                *_removed(planes.hematoxylin, cv2.MORPH_OPEN),
                *_removed(planes.hematoxylin, cv2.MORPH_CLOSE),
                *_removed(planes.grey, cv2.MORPH_OPEN),
            ]
            for planes in tiles
        ]
    )


def _removed(pyramid: Pyramid, operation: int) -> list[float]:
    contrast = cv2.meanStdDev(pyramid[2])[1][0, 0] + 1.0
    removed = []
    for scale, diameter in _DISCS:
        plane = pyramid[scale]
        changed = cv2.morphologyEx(plane, operation, _disc(diameter))
        removed.append(cv2.norm(plane, changed, cv2.NORM_L1) / (plane.size * contrast))
    return removed


@cache
def _disc(diameter: int) -> Plane:
    """A digital disc that a quarter turn leaves as it is (OpenCV's ellipse is not quite one)."""
    offsets = np.arange(diameter) - diameter // 2
    return (offsets[:, None] ** 2 + offsets[None, :] ** 2 <= (diameter / 2) ** 2).astype(np.uint8)
