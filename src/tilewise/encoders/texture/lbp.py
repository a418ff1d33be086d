"""Local binary patterns, rotation invariant and uniform, at several scales, inside the tissue.

Ojala, Pietikainen & Maenpaa, "Multiresolution gray-scale and rotation invariant texture classification with local
binary patterns", IEEE TPAMI 24 (2002). Eight neighbours on a circle of one pixel; a radius of 4 or 8 px on the tile is
the same operator on a plane area-averaged that many times smaller, which smooths before it samples (Maenpaa &
Pietikainen, SCIA 2003). Radii of 1 and 2 px are left out: through another camera their patterns move as far as they do
from tile to tile.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from tilewise.encoders.texture.planes import Counts, Plane, Planes, Values, histogram

_Unsigned = TypeVar("_Unsigned", npt.NDArray[np.uint8], npt.NDArray[np.uint16])

_NUM_NEIGHBOURS: Final = 8
NUM_PATTERNS: Final = _NUM_NEIGHBOURS + 2
_RING: Final = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))  # (dy, dx), one circle
_RADII: Final = (("hematoxylin", 4), ("hematoxylin", 8), ("grey", 4), ("grey", 8))

NAMES: Final = tuple(
    f"lbp.{plane}.radius_{radius}.{pattern}"
    for plane, radius in _RADII
    for pattern in (*(f"ones_{ones}" for ones in range(_NUM_NEIGHBOURS + 1)), "other")
)


def lbp(tiles: Sequence[Planes]) -> Values:
    """Square roots of the pattern frequencies (the Hellinger map, under which a linear head compares histograms)."""
    counts = np.concatenate([_all_counts(planes) for planes in tiles])
    frequencies: Values = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return np.sqrt(frequencies).reshape(len(tiles), -1)


def _all_counts(planes: Planes) -> Counts:
    pyramids = {"hematoxylin": planes.hematoxylin, "grey": planes.grey}
    return np.stack([pattern_counts(pyramids[name][radius], planes.tissue[radius]) for name, radius in _RADII])


def pattern_counts(plane: Plane, mask: Plane) -> Counts:
    """How many inner pixels under `mask` show each pattern: 0..8 ones in a run, then all others; int64 (10,).

    The diagonal neighbours lie between pixels. Their bilinear value is compared with the centre after multiplying by
    the denominator of t = 99 / 140 (1 / sqrt 2 to within 2e-5), so that the comparison stays in 16-bit integers and
    ties in flat areas are ties.
    """
    height, width = plane.shape
    if min(height, width) < 3:
        return np.zeros(NUM_PATTERNS, np.int64)
    # Rows are laid end to end, so that each step is one long loop; the two columns of every row whose neighbours then
    # lie on another row are cut off before counting.
    flat = plane.ravel()
    flat16 = flat.astype(np.uint16)
    side, far = flat16 * np.uint16(41), flat16 * np.uint16(99)
    middle = _neighbour(flat, 0, width)
    centre = _neighbour(flat16, 0, width) * np.uint16(181)
    codes = np.zeros((height - 2) * width, np.uint8)
    patterns = codes[: middle.size]
    for bit, (dy, dx) in enumerate(_RING):
        if dy and dx:
            value = _neighbour(side, dy * width, width) + _neighbour(side, dx, width)
            value += _neighbour(far, dy * width + dx, width)
            above = (value >= centre).view(np.uint8)
        else:
            above = (_neighbour(flat, dy * width + dx, width) >= middle).view(np.uint8)
        above *= np.uint8(1 << bit)
        patterns |= above
    inner = codes.reshape(height - 2, width)[:, : width - 2]
    return histogram(inner, mask=mask[1:-1, 1:-1]) @ _pattern_of_code()


def _neighbour(flat: _Unsigned, step: int, width: int) -> _Unsigned:
    """What lies `step` after each pixel, from the second pixel of the second row to the last but one of the last."""
    return flat[width + 1 + step : flat.size - width - 1 + step]


@cache
def _pattern_of_code() -> Counts:
    """256 x 10 indicator: number of ones where the circle changes at most twice, else the last column."""
    table = np.zeros((2**_NUM_NEIGHBOURS, NUM_PATTERNS), np.int64)
    for code in range(2**_NUM_NEIGHBOURS):
        bits = [code >> bit & 1 for bit in range(_NUM_NEIGHBOURS)]
        changes = sum(bits[bit] != bits[bit - 1] for bit in range(_NUM_NEIGHBOURS))
        table[code, sum(bits) if changes <= 2 else NUM_PATTERNS - 1] = 1
    return table
