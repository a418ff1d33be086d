"""How well two masks of a slide agree, and the mean over slides with its interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

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
    """Mean over slides, with an interval from resampled groups.

    The bootstrap's standard error times Student's t on the logit scale, as for every score of a run; see
    `evaluation/interval.py`, which stands later in the house.

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
    sums_G = np.array([sum(members) for members in by_group.values()])
    sizes_G = np.array([len(members) for members in by_group.values()], float)
    num_groups = len(by_group)
    counts: dict[str, Any] = {"num_slides": len(values), "num_groups": num_groups}
    if not values:
        return {"value": None, "low": None, "high": None, **counts}
    mean = float(sums_G.sum() / sizes_G.sum())
    drawn_RG = np.random.default_rng(seed).integers(num_groups, size=(num_resamples, num_groups))
    means_R = sums_G[drawn_RG].sum(1) / sizes_G[drawn_RG].sum(1)
    low, high = _bounds(mean, means_R, num_groups, level)
    return {"value": mean, "low": low, "high": high, **counts}


def _bounds(mean: float, means_R: npt.NDArray[np.float64], num_groups: int, level: float) -> tuple[float, float]:
    from scipy.special import stdtrit

    limit = ((1.0 - level) / 2.0) ** (1.0 / num_groups)
    if mean >= 1.0:
        return limit, 1.0
    if mean <= 0.0:
        return 0.0, 1.0 - limit
    if num_groups < 2:
        return 0.0, 1.0
    error = float(means_R.std(ddof=1)) * math.sqrt(num_groups / (num_groups - 1))
    reach = float(stdtrit(num_groups - 1, (1.0 + level) / 2.0)) * error / (mean * (1.0 - mean))
    centre = math.log(mean / (1.0 - mean))
    ends: Sequence[float] = [
        1.0 / (1.0 + math.exp(-max(-700.0, min(700.0, end)))) for end in (centre - reach, centre + reach)
    ]
    return ends[0], ends[1]


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
