"""Detail at each scale: how much, how lopsided, how sparse, and how unevenly it lies on the tile.

Each plane of a pyramid less its own blur is a band of a Laplacian pyramid (Burt & Adelson, IEEE Trans Commun 31, 1983).
The unevenness of a band's strength is a second-order statistic in the sense of the scattering transform (Bruna &
Mallat, IEEE TPAMI 35, 2013), summed over directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from tilewise.encoders.texture.planes import (
    NUM_LEVELS,
    Counts,
    Planes,
    Pyramid,
    Values,
    blur,
    histogram,
    shrink,
    spread,
)

_BLUR_PX: Final = 5
_MIDDLE: Final = 128
# Eosin starts at coarser scales: cameras and JPEG keep colour at half the sharpness of brightness, and at small scales
# this plane, a difference of colours, is mostly their noise.
_BANDS: Final = (("hematoxylin", (4, 8, 16)), ("eosin", (8, 16)), ("grey", (4, 8, 16)))
_BAND_STATISTICS: Final = ("strength", "skew", "tails")
_CLUMP_PLANES: Final = ("hematoxylin", "grey")
_CLUMP_SCALES: Final = (2, 4)
_CLUMP_FACTORS: Final = (4, 8, 16)

NAMES: Final = (
    *(
        f"band.{plane}.scale_{scale}.{statistic}"
        for plane, scales in _BANDS
        for scale in scales
        for statistic in _BAND_STATISTICS
    ),
    *(
        f"clumping.{plane}.scale_{scale}.over_{scale * factor}"
        for plane in _CLUMP_PLANES
        for scale in _CLUMP_SCALES
        for factor in _CLUMP_FACTORS
    ),
)


def multiscale(tiles: Sequence[Planes]) -> Values:
    """Strength (log, relative to the whole plane's contrast), skew and log-kurtosis of bands; then clumping."""
    counts = np.concatenate([_bands(planes) for planes in tiles])
    offsets = np.arange(NUM_LEVELS, dtype=np.float64) - _MIDDLE
    squares = counts * offsets * offsets
    totals = np.maximum(counts.sum(axis=1), 1)
    second, third = squares.sum(axis=1) / totals + 1.0, (squares * offsets).sum(axis=1) / totals
    fourth = (squares * offsets * offsets).sum(axis=1) / totals + 3.0
    contrasts = np.concatenate([_contrasts(planes) for planes in tiles])
    statistics = np.column_stack(
        [
            np.log(second) / 2 - np.log(contrasts),
            third / (second * np.sqrt(second)),
            np.log(fourth / (second * second)),
        ]
    )
    clumps = np.array([[*_clumping(planes.hematoxylin), *_clumping(planes.grey)] for planes in tiles])
    return np.hstack([statistics.reshape(len(tiles), -1), np.log1p(clumps)])


def _bands(planes: Planes) -> Counts:
    """Histograms of planes less their blur inside the tissue, level 128 standing for no difference."""
    pyramids = {"hematoxylin": planes.hematoxylin, "eosin": planes.eosin, "grey": planes.grey}
    counts = []
    for name, scales in _BANDS:
        for scale in scales:
            plane = pyramids[name][scale]
            band = cv2.addWeighted(plane, 1.0, blur(plane, _BLUR_PX), -1.0, _MIDDLE)
            counts.append(histogram(band, mask=planes.tissue[scale]))
    return np.stack(counts)


def _contrasts(planes: Planes) -> list[float]:
    """Spread of the plane behind each band."""
    pyramids = (planes.hematoxylin, planes.eosin, planes.grey)
    spreads = [spread(pyramid[2], mask=planes.tissue[2]) for pyramid in pyramids]
    return [value for value, (_, scales) in zip(spreads, _BANDS, strict=True) for _ in scales]


def _clumping(pyramid: Pyramid) -> list[float]:
    """Spread over mean of the local band strength, in squares of three sizes, at two scales."""
    clumping = []
    for scale in _CLUMP_SCALES:
        # Four times finer than a level, because a mean over a square is; strengths above 63 levels saturate.
        strength = cv2.convertScaleAbs(cv2.absdiff(pyramid[scale], blur(pyramid[scale], _BLUR_PX)), alpha=4.0)
        for factor in _CLUMP_FACTORS:
            mean, deviation = cv2.meanStdDev(shrink(strength, factor))
            clumping.append(deviation[0, 0] / (mean[0, 0] + 1.0))
    return clumping
