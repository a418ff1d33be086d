"""Nuclei of one tile: dark haematoxylin components, measured from their moments.

A proxy that needs no training: one Otsu threshold (Otsu, IEEE TSMC 9, 1979) over the tissue's haematoxylin, and then
plain geometry. Touching nuclei stay one component; the peaks of the distance transform count them apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.encoders.texture.planes import (
    LEVELS_PER_OD,
    NUM_LEVELS,
    STAIN_OFFSET,
    Counts,
    Plane,
    Planes,
    Values,
    blur,
    histogram,
)

# A threshold below this density of haematoxylin would call noise on blank glass a nucleus.
_FAINTEST: Final = STAIN_OFFSET + int(0.15 * LEVELS_PER_OD)
_SMALLEST_PX: Final = 12
# The outline along pixel edges of a disc is 4 diameters long, so its area is pi / 64 of the outline squared.
_DISC: Final = np.pi / 64


@dataclass(frozen=True, slots=True)
class Threshold:
    """Where haematoxylin was cut (plane level), and the share of its variance that the cut explains (0..1)."""

    level: int
    separability: float


@dataclass(frozen=True, slots=True)
class Nuclei:
    """Components of at least 12 px, one entry each; lengths in px of the tile, densities in levels of the plane.

    `angle` is the doubled direction of the long axis in radians; `fill` is area over that of the ellipse with the same
    moments (1 for ellipses, less for concave shapes); `compactness` is 1 for a disc. `peak_radii` has one entry per
    peak of the distance transform instead.
    """

    mask: Plane
    threshold: Threshold
    area: Values
    x: Values
    y: Values
    eccentricity: Values
    angle: Values
    fill: Values
    compactness: Values
    density: Values
    peak_radii: Values


@dataclass(frozen=True, slots=True)
class _Runs:
    """Runs of set pixels along the rows of a mask: row, first column and length of each."""

    row: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]


def find_nuclei(planes: Planes) -> Nuclei:
    """Segment and measure the nuclei of a tile."""
    threshold = otsu(histogram(planes.hematoxylin[2], mask=planes.tissue[2]))
    smooth = blur(planes.nuclear, 5)
    dark = cv2.compare(smooth, max(threshold.level, _FAINTEST), cv2.CMP_GT) & np.uint8(1)
    mask = cv2.morphologyEx(dark, cv2.MORPH_OPEN, _cross())
    return _measure(mask, planes.nuclear, threshold=threshold)


def otsu(counts: Counts) -> Threshold:
    """The level that splits a histogram best, its upper class above it; 0 and 0.0 for fewer than two levels."""
    total = int(counts.sum())
    levels = np.arange(NUM_LEVELS, dtype=np.int64)
    below = np.cumsum(counts)
    sum_below = np.cumsum(counts * levels)
    above = total - below
    gap = sum_below / np.maximum(below, 1) - (sum_below[-1] - sum_below) / np.maximum(above, 1)
    between = below * above * gap * gap
    # Every level of a gap between two classes splits them alike; the middle of the gap is the least sensitive one.
    best = np.flatnonzero(between == between.max())
    level = int(best[0] + best[-1]) // 2
    mean = sum_below[-1] / max(total, 1)
    variance = float((counts * (levels - mean) ** 2).sum())
    if below[level] == 0 or above[level] == 0 or variance == 0:
        return Threshold(0, 0.0)
    return Threshold(level, float(between[level] / (total * variance)))


def _measure(mask: Plane, hematoxylin: Plane, *, threshold: Threshold) -> Nuclei:
    _, labels = cv2.connectedComponents(mask, connectivity=4, ltype=cv2.CV_32S)
    height, width = mask.shape
    rows, columns = _runs(mask), _runs(cv2.transpose(mask))
    label = labels[rows.row, rows.start]
    num_labels = int(labels.max()) + 1
    areas = _sum_by(label, rows.length, num_labels)
    large = np.flatnonzero(areas >= _SMALLEST_PX)
    area = areas[large]

    def total(weights: npt.NDArray[np.int64]) -> Values:
        return _sum_by(label, weights, num_labels)[large]

    # Sums of x and x squared over a run of n pixels from column a; counted from the tile's centre to keep them small.
    n, a, y = rows.length, rows.start - width // 2, rows.row - height // 2
    sum_x = n * a + n * (n - 1) // 2
    sum_xx = n * a * a + a * n * (n - 1) + (n - 1) * n * (2 * n - 1) // 6
    mean_x, mean_y = total(sum_x) / area, total(n * y) / area
    # A pixel is a square, not a point: 1/12 of a pixel squared along each axis.
    xx = total(sum_xx) / area - mean_x * mean_x + 1 / 12
    yy = total(n * y * y) / area - mean_y * mean_y + 1 / 12
    xy = total(sum_x * y) / area - mean_x * mean_y
    half_gap = (xx - yy) / 2
    root = np.sqrt(half_gap * half_gap + xy * xy)
    long_axis, short_axis = (xx + yy) / 2 + root, (xx + yy) / 2 - root
    of_columns = labels[columns.start, columns.row]
    num_runs = np.bincount(label, minlength=num_labels) + np.bincount(of_columns, minlength=num_labels)
    outline = 2.0 * num_runs[large]
    levels = hematoxylin.ravel()[np.flatnonzero(mask.view(np.bool_))]
    return Nuclei(
        mask=mask,
        threshold=threshold,
        area=area,
        x=mean_x + width // 2,
        y=mean_y + height // 2,
        eccentricity=np.sqrt(np.clip(1 - short_axis / long_axis, 0, 1)),
        angle=np.arctan2(xy, half_gap),
        fill=area / (4 * np.pi * np.sqrt(np.maximum(long_axis * short_axis, 1e-6))),
        compactness=area / outline**2 / _DISC,
        density=_sum_by(np.repeat(label, n), levels, num_labels)[large] / area,
        peak_radii=_peak_radii(mask),
    )


def _sum_by(label: npt.NDArray[np.int32], weights: npt.NDArray[np.int64] | Plane, num_labels: int) -> Values:
    """Sum of the weights of each label; whole numbers, hence exact in float64."""
    return np.bincount(label, weights, minlength=num_labels).astype(np.float64, copy=False)


def _runs(mask: Plane) -> _Runs:
    # A column of background on either side, so that every run starts and ends on its own row.
    bordered = cv2.copyMakeBorder(mask, 0, 0, 1, 1, cv2.BORDER_CONSTANT, value=0)
    flat = bordered.ravel()
    edges = np.flatnonzero((flat[1:] ^ flat[:-1]).view(np.bool_))
    row, start = np.divmod(edges[0::2], bordered.shape[1])
    return _Runs(row=row, start=start, length=edges[1::2] - edges[0::2])


def _peak_radii(mask: Plane) -> Values:
    """Radius in px at each peak of the distance to the background: one peak per roundish part of a component."""
    # A border of background, because a tile without any has no distance to it.
    bordered = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    # The 3 x 3 metric is exact to a few per cent. Blurred, the double peaks of ragged outlines become one.
    distance = cv2.distanceTransform(bordered, cv2.DIST_L2, 3)
    smooth = cv2.GaussianBlur(distance, (5, 5), 0)
    peaks = cv2.compare(smooth, cv2.dilate(smooth, _square(7)), cv2.CMP_GE)
    peaks &= cv2.compare(smooth, 1.0, cv2.CMP_GE)
    num_labels, labels = cv2.connectedComponents(peaks, connectivity=8, ltype=cv2.CV_32S)
    places = np.flatnonzero(peaks.view(np.bool_))
    radii = np.zeros(num_labels, np.float64)
    np.maximum.at(radii, labels.ravel()[places], distance.ravel()[places])
    return radii[1:]


@cache
def _cross() -> Plane:
    return np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)


@cache
def _square(side: int) -> Plane:
    return np.ones((side, side), np.uint8)
