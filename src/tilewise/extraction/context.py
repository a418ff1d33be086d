"""What stands beside a slide's tiles: the tissue outside its mask, and the mask's shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.auditing.cohort import AuditedCohort, AuditedSlide
from tilewise.cohort import read_mask
from tilewise.execution import Failure, run_each
from tilewise.extraction.bag import FeatureBag
from tilewise.extraction.config import FeaturesConfig

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

NUM_SHAPES = 7


def with_context(
    bags: Mapping[str, FeatureBag],
    outside: Mapping[str, FeatureBag],
    shapes: Mapping[str, Floats],
    config: FeaturesConfig,
) -> dict[str, FeatureBag]:
    """The bags with what stands beside their tiles, `FeatureBag.context_E`; nan is what a slide does not have.

    First stands whether there is tissue outside the mask, 1 or 0; then its mean features, the difference and the
    shape, as far as the config asks for them.

    Args:
        bags: slide -> its tiles.
        outside: slide -> its tiles outside the mask, of the slides that have some.
        shapes: slide -> shape of its mask, of the slides that have one.
        config: what is asked for.
    """
    described = {}
    for name, bag in bags.items():
        parts = []
        if config.context != "none":
            beside = outside.get(name)
            num_features = bag.features_ND.shape[1]
            mean_D = np.full(num_features, np.nan) if beside is None else beside.features_ND.mean(axis=0, dtype=float)
            parts += [np.array([beside is not None]), mean_D]
            if config.context == "outside_and_difference":
                parts.append(bag.features_ND.mean(axis=0, dtype=float) - mean_D)
        if config.context_shape:
            parts.append(shapes.get(name, np.full(NUM_SHAPES, np.nan)))
        described[name] = replace(bag, context_E=np.concatenate(parts).astype(np.float32))
    return described


def mask_shapes(cohort: AuditedCohort, *, workers: int | None) -> tuple[dict[str, Floats], tuple[Failure, ...]]:
    """Slide -> shape of its mask, of every slide with a usable one; and the masks that could not be read."""
    slides = {item.slide_id: item for item in cohort.slides if item.use_mask}
    outcome = run_each(_shape_of, slides, stage="features", workers=workers)
    return dict(outcome.results), outcome.failures


def _shape_of(item: AuditedSlide) -> Floats:
    mask, _ = read_mask(item.slide, item.size)
    return describe_shape(mask)


def describe_shape(mask: Mask) -> Floats:
    """Shape of a mask, float32 (7,).

    Logarithm of its share of the slide; logarithm of the number of its connected components; and of the largest of
    these: its share of the mask, compactness (4 pi area / perimeter^2), solidity (area / convex hull), extent (area /
    bounding box) and elongation (shorter / longer axis of the ellipse of equal moments).

    Args:
        mask: bool (H, W), not empty.
    """
    plane = np.ascontiguousarray(mask).view(np.uint8)
    num, labels_HW, stats_LS, _ = cv2.connectedComponentsWithStats(plane, connectivity=8)
    areas_L = stats_LS[1:, cv2.CC_STAT_AREA]
    label = int(areas_L.argmax()) + 1
    x, y, width, height, area = stats_LS[label].tolist()
    component = (labels_HW[y : y + height, x : x + width] == label).astype(np.uint8)
    contours, _ = cv2.findContours(np.pad(component, 1), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(contours, key=len)
    perimeter = max(cv2.arcLength(outline, closed=True), 4.0)
    hull = cv2.fillConvexPoly(np.zeros((height + 2, width + 2), np.uint8), cv2.convexHull(outline), 1).sum()
    shape = (
        np.log(mask.mean()),
        np.log(num - 1),
        area / areas_L.sum(),
        min(4.0 * np.pi * area / perimeter**2, 1.0),
        area / hull,
        area / (width * height),
        _elongation(component),
    )
    return np.array(shape, dtype=np.float32)


def _elongation(component: npt.NDArray[np.uint8]) -> float:
    moments = cv2.moments(component, binaryImage=True)
    # A pixel is a square and no point: its own second moment keeps a line of pixels from having no width.
    xx, yy = (moments[name] / moments["m00"] + 1.0 / 12.0 for name in ("mu20", "mu02"))
    xy = moments["mu11"] / moments["m00"]
    middle, half = (xx + yy) / 2.0, np.hypot((xx - yy) / 2.0, xy)
    return float(np.sqrt(max(middle - half, 0.0) / (middle + half)))
