"""How well two masks of a slide agree, and the mean over slides with its interval."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.evaluation.interval import exact_limit, score_interval
from tilewise.evaluation.resample import draw_weights

Mask = npt.NDArray[np.bool_]

_BOUNDARY_SIDE = 1024


def dice(one: Mask, other: Mask) -> float:
    """Twice what both hold over what each holds (Dice 1945); 1 where both are empty. Masks bool (H, W)."""
    total = np.count_nonzero(one) + np.count_nonzero(other)
    return 1.0 if total == 0 else 2.0 * np.count_nonzero(one & other) / total


def boundary_f(one: Mask, other: Mask, *, tolerance: float) -> float:
    """Harmonic mean of the shares of either boundary that lie near the other (Perazzi et al. 2016, DAVIS).

    A boundary is what of a mask touches what is not of it; where the slide ends is none. Masks with more than 1024
    pixels a side are scaled down first.

    Args:
        one: bool (H, W).
        other: bool (H, W).
        tolerance: share of the slide's diagonal.

    Returns:
        0 to 1; 1 where neither has a boundary, 0 where one has none.
    """
    edge_one, edge_other = _edge(_small(one)), _edge(_small(other))
    num_one, num_other = np.count_nonzero(edge_one), np.count_nonzero(edge_other)
    if num_one == 0 or num_other == 0:
        return float(num_one == num_other)
    reach = max(1.0, tolerance * math.hypot(*edge_one.shape))
    precision = np.count_nonzero(edge_one & _near(edge_other, reach)) / num_one
    recall = np.count_nonzero(edge_other & _near(edge_one, reach)) / num_other
    return 0.0 if precision + recall == 0 else 2.0 * precision * recall / (precision + recall)


def mean_with_interval(
    values: Mapping[str, float], groups: Mapping[str, str], *, seed: int, level: float = 0.95, num_resamples: int = 2000
) -> dict[str, Any]:
    """Mean over slides, with an interval from resampled groups as for every score of a run, see `score_interval`.

    Args:
        values: slide -> score from 0 to 1.
        groups: slide -> what it is resampled with.
        seed: of the resamples.
        level: confidence level.
        num_resamples: how often groups are drawn.

    Returns:
        `value`, `low`, `high` (None without any slide), `num_slides`, `num_groups`.
    """
    by_group: dict[str, list[float]] = {}
    for name, value in values.items():
        by_group.setdefault(groups[name], []).append(value)
    num_groups = len(by_group)
    counts: dict[str, Any] = {"num_slides": len(values), "num_groups": num_groups}
    if not values:
        return {"value": None, "low": None, "high": None, **counts}
    sums_G = np.array([sum(members) for members in by_group.values()])
    sizes_G = np.array([len(members) for members in by_group.values()], float)
    mean = float(sums_G.sum() / sizes_G.sum())
    weights_RG = draw_weights(num_groups, num_resamples, np.random.default_rng(seed))
    means_R = (weights_RG @ sums_G) / (weights_RG @ sizes_G)
    limit = exact_limit(num_groups, level)
    return asdict(score_interval(mean, means_R, num_units=num_groups, level=level, limit=limit)) | counts


def _small(mask: Mask) -> Mask:
    height, width = mask.shape
    scale = _BOUNDARY_SIDE / max(height, width)
    if scale >= 1.0:
        return mask
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) >= 0.5)


def _edge(mask: Mask) -> Mask:
    padded = np.pad(mask, 1, mode="edge")
    inside = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.asarray(mask & ~inside)


def _near(edge: Mask, reach: float) -> Mask:
    distance = cv2.distanceTransform((~edge).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance <= reach)
