"""Grey-level co-occurrence inside the tissue: how levels at a distance go together, over all directions.

Haralick, Shanmugam & Dinstein, "Textural features for image classification", IEEE TSMC 3 (1973). Levels are cut at the
tissue's own quantiles (Haralick's equal-probability quantising), so that the matrices hold structure alone, whatever
the scanner or the strength of the stain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from tilewise.encoders.texture.planes import Counts, Plane, Planes, Pyramid, Values, histogram

# Fifteen, so that with the step 0 for outside a pair of steps fits into the eight bits of a pixel.
NUM_STEPS: Final = 15
# (scale, distance there): 4, 8, 16 and 32 px on the tile; the long ones on smaller planes, for less work.
_DISTANCES: Final = ((2, 2), (4, 2), (4, 4), (4, 8))
_PROPERTIES: Final = ("homogeneity", "energy", "correlation", "information", "shade")

NAMES: Final = tuple(
    f"cooccurrence.{plane}.distance_{scale * distance}.{name}"
    for plane in ("hematoxylin", "grey")
    for scale, distance in _DISTANCES
    for name in _PROPERTIES
)


def cooccurrence(tiles: Sequence[Planes]) -> Values:
    """Five properties of the co-occurrence of haematoxylin and of grey at distances of 4, 8, 16 and 32 px."""
    counts = [_all_counts(pyramid, planes.tissue) for planes in tiles for pyramid in (planes.hematoxylin, planes.grey)]
    return properties(frequencies(np.concatenate(counts))).reshape(len(tiles), -1)


def _all_counts(pyramid: Pyramid, tissue: Pyramid) -> Counts:
    scales = sorted({scale for scale, _ in _DISTANCES})
    steps = {scale: equal_steps(pyramid[scale], tissue[scale]) for scale in scales}
    return np.stack([pair_counts(steps[scale], distance) for scale, distance in _DISTANCES])


def equal_steps(plane: Plane, mask: Plane) -> Plane:
    """The plane in steps 1..15 that hold about equally many pixels under `mask` (by middle rank); 0 outside it."""
    counts = histogram(plane, mask=mask)
    middle_rank = (np.cumsum(counts) - counts / 2) / max(int(counts.sum()), 1)
    table = 1 + np.minimum(middle_rank * NUM_STEPS, NUM_STEPS - 1).astype(np.uint8)
    steps: Plane = cv2.multiply(cv2.LUT(plane, table), mask)
    return steps


def pair_counts(steps: Plane, distance: int) -> Counts:
    """How many pairs of steps 1..15 lie `distance` px apart in one of four directions; int64 (15, 15).

    Diagonal offsets are rounded to whole pixels.
    """
    diagonal = round(distance / np.sqrt(2))
    high = np.left_shift(steps, 4)
    codes = []
    for dy, dx in ((0, distance), (diagonal, diagonal), (distance, 0), (diagonal, -diagonal)):
        height, width = max(steps.shape[0] - dy, 0), max(steps.shape[1] - abs(dx), 0)
        left, right = max(0, -dx), max(0, dx)
        codes.append((high[:height, left : left + width] | steps[dy : dy + height, right : right + width]).ravel())
    # A code whose upper or lower half is 0 has a pixel outside the mask.
    return histogram(np.concatenate(codes)[None, :]).reshape(NUM_STEPS + 1, NUM_STEPS + 1)[1:, 1:]


def frequencies(counts_MSS: Counts) -> Values:
    """Symmetric frequencies from M matrices of counts: each sums to 1, or to 0 where there is no pair."""
    both_ways = counts_MSS + counts_MSS.swapaxes(1, 2)
    shares: Values = both_ways / np.maximum(both_ways.sum(axis=(1, 2), keepdims=True), 1)
    return shares


def properties(frequencies_MSS: Values) -> Values:
    """Haralick's properties of M symmetric matrices, in the order of the names; float64 (M, 5).

    Homogeneity is the inverse difference moment, energy the root of the angular second moment, `information` the first
    information measure of correlation and `shade` the skew of the sum of both levels (cluster shade without its unit).
    """
    steps = np.arange(NUM_STEPS, dtype=np.float64)
    nearness = 1 / (1 + (steps[:, None] - steps[None, :]) ** 2)
    margin = frequencies_MSS.sum(axis=2)
    centred = steps - (margin * steps).sum(axis=1)[:, None]
    variance = (margin * centred * centred).sum(axis=1)
    covariance = (frequencies_MSS * centred[:, :, None] * centred[:, None, :]).sum(axis=(1, 2))
    sums = centred[:, :, None] + centred[:, None, :]
    squares = frequencies_MSS * sums * sums
    width = squares.sum(axis=(1, 2)) + 0.01
    entropy = _entropy(frequencies_MSS).sum(axis=(1, 2))
    of_margin = _entropy(margin).sum(axis=1)
    return np.column_stack(
        [
            (frequencies_MSS * nearness).sum(axis=(1, 2)),
            np.sqrt((frequencies_MSS * frequencies_MSS).sum(axis=(1, 2))),
            covariance / (variance + 1e-6),
            (entropy - 2 * of_margin) / (of_margin + 1e-6),
            (squares * sums).sum(axis=(1, 2)) / (width * np.sqrt(width)),
        ]
    )


def _entropy(frequencies: Values) -> Values:
    return -frequencies * np.log(np.where(frequencies > 0, frequencies, 1.0))
