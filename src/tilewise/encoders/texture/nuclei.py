"""Amount, size, shape, spacing and staining of the nuclei of one tile.

Averages over nuclei count each by its area: specks then weigh as little as they matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from tilewise.encoders.texture.planes import Planes, Values, blur, shrink, spread
from tilewise.encoders.texture.segmentation import Nuclei, find_nuclei

_PER_PX: Final = 1e-4  # numbers are per 10,000 px of tile
_BLOB_SCALES: Final = (2, 4, 8)
_BLOB_CONTRAST: Final = 6  # plane levels by which a blob stands out of its surroundings
_AMOUNT: Final = ("separability", "area_fraction", "number", "peaks", "peaks_per_nucleus")
_RADIUS: Final = ("peak_radius.mean", "peak_radius.spread")
_SIZE: Final = ("log_area.p10", "log_area.p50", "log_area.p90", "log_area.mean", "log_area.spread", "log_area.largest")
_SHAPES: Final = ("eccentricity", "fill", "compactness")
_SHAPE: Final = (*(f"{shape}.{measure}" for shape in _SHAPES for measure in ("mean", "spread")), "alignment")
_SPACING: Final = ("spacing.third", "spacing.relative")
_STAIN: Final = ("contrast.hematoxylin", "contrast.grey", "density.between", "density.within")

NAMES: Final = tuple(
    f"nuclei.{name}"
    for name in (
        *_AMOUNT, *_RADIUS, *_SIZE, *_SHAPE, *_SPACING, *_STAIN, *(f"blobs.scale_{scale}" for scale in _BLOB_SCALES)
    )
)  # fmt: skip


def nuclei(tiles: Sequence[Planes]) -> Values:
    """All nuclear measures; a measure of nuclei that are not there is 0."""
    return np.stack([_describe(find_nuclei(planes), planes) for planes in tiles])


def _describe(nuclei: Nuclei, planes: Planes) -> Values:
    parts = [_amount(nuclei), _radius(nuclei), _size(nuclei), _shape(nuclei), _spacing(nuclei), _stain(nuclei, planes)]
    return np.concatenate([*parts, _blobs(planes)])


def _amount(nuclei: Nuclei) -> Values:
    tile_area = nuclei.mask.size * _PER_PX
    num_nuclei, num_peaks = nuclei.area.size, nuclei.peak_radii.size
    return np.array(
        [
            nuclei.threshold.separability,
            cv2.countNonZero(nuclei.mask) / nuclei.mask.size,
            np.log1p(num_nuclei / tile_area),
            np.log1p(num_peaks / tile_area),
            np.log1p(num_peaks / max(num_nuclei, 1)),
        ]
    )


def _radius(nuclei: Nuclei) -> Values:
    if nuclei.peak_radii.size == 0:
        return np.zeros(len(_RADIUS))
    return _mean_and_spread(np.log(nuclei.peak_radii), np.ones(nuclei.peak_radii.size))


def _size(nuclei: Nuclei) -> Values:
    if nuclei.area.size == 0:
        return np.zeros(len(_SIZE))
    areas = np.sort(nuclei.area)
    covered = np.cumsum(areas)
    percentiles = areas[np.searchsorted(covered, np.array([0.1, 0.5, 0.9]) * covered[-1])]
    return np.concatenate([np.log(percentiles), _mean_and_spread(np.log(areas), areas), [np.log(areas[-1])]])


def _shape(nuclei: Nuclei) -> Values:
    if nuclei.area.size == 0:
        return np.zeros(len(_SHAPE))
    shapes = (nuclei.eccentricity, nuclei.fill, np.log(nuclei.compactness))
    # The long axes as vectors of the doubled angle, counted by how large and how long-drawn the nucleus is.
    strength = nuclei.area * nuclei.eccentricity * nuclei.eccentricity
    aligned = np.hypot((strength * np.cos(nuclei.angle)).sum(), (strength * np.sin(nuclei.angle)).sum())
    return np.concatenate(
        [
            *(_mean_and_spread(shape, nuclei.area) for shape in shapes),
            [aligned / (strength.sum() + 1e-6)],
        ]
    )


def _spacing(nuclei: Nuclei) -> Values:
    """Log distance in px to the third neighbour, and to the first in units of the nuclear diameter."""
    if nuclei.area.size < 4:
        return np.zeros(len(_SPACING))
    from scipy.spatial import cKDTree  # half a second, which commands that look at no pixel need not wait for

    centres = np.column_stack([nuclei.x, nuclei.y])
    distances, _ = cKDTree(centres).query(centres, k=4)
    third, _ = _mean_and_spread(np.log(distances[:, 3]), nuclei.area)
    diameters = np.sqrt(nuclei.area * (4 / np.pi))
    return np.array([third, np.log(distances[:, 1].mean() / diameters.mean())])


def _stain(nuclei: Nuclei, planes: Planes) -> Values:
    """How nuclei differ from other tissue, from each other and inside; in standard deviations of the tissue."""
    tissue = planes.tissue[2]
    nuclear = shrink(nuclei.mask, 2) & tissue
    around = tissue ^ nuclear
    if nuclei.area.size == 0 or not cv2.countNonZero(nuclear) or not cv2.countNonZero(around):
        return np.zeros(len(_STAIN))
    contrasts = [
        (cv2.mean(plane, nuclear)[0] - cv2.mean(plane, around)[0]) / spread(plane, mask=tissue)
        for plane in (planes.hematoxylin[2], planes.grey[2])
    ]
    unit = spread(planes.hematoxylin[2], mask=tissue)
    _, between = _mean_and_spread(nuclei.density, nuclei.area)
    # What the variance of all nuclear pixels holds beyond the variance between nuclei lies within them.
    overall = cv2.meanStdDev(planes.nuclear, mask=nuclei.mask)[1][0, 0]
    within = np.sqrt(max(overall * overall - between * between, 0.0))
    return np.array([*contrasts, between / unit, within / unit])


def _blobs(planes: Planes) -> Values:
    """Log density of dark blobs at three sizes: local peaks of the difference of two blurs, however dark they are."""
    densities = []
    for scale in _BLOB_SCALES:
        plane = planes.hematoxylin[scale]
        # Two short blurs make a long one, and cost less.
        response = cv2.subtract(blur(plane, 3), blur(blur(plane, 5), 5))
        peaks = cv2.compare(response, cv2.dilate(response, np.ones((5, 5), np.uint8)), cv2.CMP_GE)
        peaks &= cv2.compare(response, _BLOB_CONTRAST, cv2.CMP_GE)
        densities.append(np.log1p(cv2.countNonZero(peaks) / (planes.nuclear.size * _PER_PX)))
    return np.array(densities)


def _mean_and_spread(values: Values, weights: Values) -> Values:
    """Mean and standard deviation of values that count by their weights."""
    mean = (values * weights).sum() / weights.sum()
    off = values - mean
    return np.array([mean, np.sqrt((weights * off * off).sum() / weights.sum())])
