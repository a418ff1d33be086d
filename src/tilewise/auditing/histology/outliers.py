"""How far each slide of a cohort lies from the rest, however many of the rest are faulty.

Every measure is centred on its median and scaled by the median absolute deviation, so that a tenth of cartoons in the
cohort neither moves the centre nor widens the scale.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]

SMALLEST_COHORT: Final = 20
"""Slides below which no one is called far from the rest."""

_TO_SIGMA: Final = 1.4826
_CLIP: Final = 8.0
_PRINCIPAL_CLIP: Final = 3.0
# A cluster of faults must not pass for company: neighbours are counted up to this share of the cohort.
_NEIGHBOURS: Final = 0.25
_MOST_COMPARED: Final = 2000


def robust_scores(values: npt.ArrayLike, *, floor: float | npt.ArrayLike) -> Matrix:
    """Distance from the median in robust standard deviations, column by column.

    Args:
        values: (N,) or (N, D).
        floor: smallest standard deviation to divide by, of the measure's own unit; one, or one for each column.
    """
    values_ND = np.asarray(values, dtype=np.float64)
    centred = values_ND - np.median(values_ND, axis=0)
    spread = _TO_SIGMA * np.median(np.abs(centred), axis=0)
    scores: Matrix = centred / np.maximum(spread, floor)
    return scores


def shrunk_distance(scores_ND: Matrix) -> npt.NDArray[np.float64]:
    """Mahalanobis distance of robust scores over the root of their number; about 1 for slides like the rest.

    The covariance is that of scores cut at 3, drawn towards the identity the more, the fewer slides there are for each
    measure (after Ledoit & Wolf, J Multivar Anal 88, 2004), so it exists for twenty slides as well.
    """
    num, width = scores_ND.shape
    inner = np.clip(scores_ND, -_PRINCIPAL_CLIP, _PRINCIPAL_CLIP)
    covariance = np.atleast_2d(inner.T @ inner / max(1, num))
    weight = width / (width + num / 2.0)
    shrunk = (1.0 - weight) * covariance + weight * np.eye(width) * np.trace(covariance) / width
    cut = np.clip(scores_ND, -_CLIP, _CLIP)
    squares = np.einsum("nd,nd->n", cut, np.linalg.solve(shrunk + 1e-6 * np.eye(width), cut.T).T)
    distances: npt.NDArray[np.float64] = np.sqrt(np.maximum(squares, 0.0) / width)
    return distances


def neighbour_distance(features_ND: Matrix) -> npt.NDArray[np.float64]:
    """Distance to a slide's neighbours over the cohort's median of it; 1 for slides like the rest.

    The neighbours are the nearest quarter of the cohort (at least five), and the distance is the mean over them of
    the mean absolute difference of robust scores. Of more than 2,000 slides, neighbours are looked for among
    2,000 that are spread evenly over it, so that the time grows with the slides and not with their pairs.
    """
    spread = np.std(features_ND, axis=0)
    scores = robust_scores(features_ND, floor=np.maximum(0.1 * spread, 1e-6))
    scores = np.clip(scores, -_CLIP, _CLIP).astype(np.float32)
    num = len(scores)
    chosen = np.unique(np.linspace(0, num - 1, min(num, _MOST_COMPARED)).astype(np.intp))
    company, place_of = scores[chosen], {index: place for place, index in enumerate(chosen.tolist())}
    count = min(len(chosen) - 1, max(5, int(_NEIGHBOURS * len(chosen))))
    distances = np.empty(num)
    for index in range(num):
        others = np.abs(company - scores[index]).mean(axis=1)
        if index in place_of:
            others[place_of[index]] = np.inf
        distances[index] = np.partition(others, count - 1)[:count].mean()
    return distances / max(float(np.median(distances)), 1e-6)
