"""Lay one slide onto another by the keypoints they share."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.auditing.copies.fingerprint import Fingerprint
from tilewise.auditing.copies.propose import unit_vectors
from tilewise.auditing.copies.symmetry import MATRICES, PERMUTATIONS

_ALIKE = 0.9
_FEWEST_INLIERS = 4
# Of the longer side: keypoints of a copy lie within a pixel of the working picture.
_TOLERANCE = 2.5 / 704
_LARGEST_TILT = 0.09
_LARGEST_STRETCH = 3.0


@dataclass(frozen=True)
class Alignment:
    """How a slide lies on another.

    Attributes:
        matrix: float64 (2, 3), from pixels of the first slide to pixels of the second.
        symmetry: the turn in it.
        scale: pixels of the second per pixel of the first.
        num_inliers: keypoints that agree with it.
    """

    matrix: npt.NDArray[np.float64]
    symmetry: int
    scale: float
    num_inliers: int


def align(one: Fingerprint, two: Fingerprint, symmetry: int) -> Alignment | None:
    """Find the similarity that lays `one` onto `two`, turned as told; None where too few keypoints agree."""
    turned = unit_vectors(one.descriptors)[:, PERMUTATIONS[symmetry]]
    cosines = turned @ unit_vectors(two.descriptors).T
    best = cosines.argmax(axis=1)
    rows = np.flatnonzero(cosines.max(axis=1) >= _ALIKE)
    rows = rows[cosines[:, best[rows]].argmax(axis=0) == rows]
    if len(rows) < _FEWEST_INLIERS:
        return None
    source = one.places[rows].astype(np.float64) @ MATRICES[symmetry].T.astype(np.float64)
    target = two.places[best[rows]].astype(np.float64)
    tolerance = _TOLERANCE * float(max(two.size))
    fitted, inliers = cv2.estimateAffinePartial2D(
        source, target, method=cv2.RANSAC, ransacReprojThreshold=tolerance, maxIters=1000, confidence=0.995
    )
    if fitted is None or int(inliers.sum()) < _FEWEST_INLIERS:
        return None
    scale = float(np.hypot(fitted[0, 0], fitted[1, 0]))
    tilt = float(np.arctan2(fitted[1, 0], fitted[0, 0]))
    if abs(tilt) > _LARGEST_TILT or not 1 / _LARGEST_STRETCH < scale < _LARGEST_STRETCH:
        return None
    matrix = np.concatenate([fitted[:, :2] @ MATRICES[symmetry], fitted[:, 2:]], axis=1)
    return Alignment(matrix, symmetry, scale, int(inliers.sum()))
