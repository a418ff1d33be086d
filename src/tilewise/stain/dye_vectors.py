"""The colours of the two dyes, from the optical densities of stained pixels."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.stain.profile import angle_between

Floats = npt.NDArray[np.floating]
Matrix = npt.NDArray[np.float64]

# Ruifrok & Johnston 2001; unit vectors of optical density.
_RUIFROK: Final = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]])
PUBLISHED: Final[Matrix] = _RUIFROK / np.linalg.norm(_RUIFROK, axis=1, keepdims=True)

# Macenko et al.: pixels with less density in any channel are glass, and the extreme angles are taken at 1 and 99 %.
LEAST_DENSITY: Final = 0.15
_PERCENTILES: Final = (1.0, 99.0)
# Vahadane et al. use a weight of 0.1 on densities in natural logarithms, as we do.
_SPARSITY: Final = 0.1
_MOST_ROUNDS, _STILL = 200, 1e-5
_SAMPLE: Final = 4096


def stained(density_ND: Floats) -> Floats:
    """The pixels dense enough in every channel to tell a colour from; (M, 3)."""
    # Channel by channel, which is several times faster than `all(axis=1)` along rows of three.
    red, green, blue = (density_ND[:, channel] >= LEAST_DENSITY for channel in range(3))
    chosen: Floats = density_ND[red & green & blue]
    return chosen


def macenko_vectors(density_ND: Floats) -> tuple[Matrix, Floats]:
    """Fit the two dyes as the extreme directions in the plane of largest spread.

    Macenko et al., A method for normalizing histology slides for quantitative analysis, ISBI 2009.

    Args:
        density_ND: densities of stained pixels, (N, 3) with N >= 3.

    Returns:
        Unit vectors (2, 3), haematoxylin first, and the spreads along the principal axes (3,), largest first.
    """
    flags = cv2.COVAR_NORMAL | cv2.COVAR_ROWS | cv2.COVAR_SCALE
    covariance, _ = cv2.calcCovarMatrix(density_ND, None, flags, ctype=cv2.CV_64F)
    values, vectors = np.linalg.eigh(covariance)
    plane = vectors[:, [2, 1]]
    # Towards density, so that the angles of tissue do not straddle the cut of arctan2.
    plane = plane * np.where(plane.sum(axis=0) < 0, -1.0, 1.0)
    projected = density_ND @ plane
    angles = np.arctan2(projected[:, 1], projected[:, 0])
    extremes = np.percentile(angles, _PERCENTILES)
    dyes = np.stack([np.cos(extremes), np.sin(extremes)], axis=1) @ plane.T
    return _ordered(dyes), np.sqrt(np.maximum(values[::-1], 0.0))


def vahadane_vectors(density_ND: Floats, start: Matrix) -> Matrix:
    """Fit the two dyes by sparse non-negative factorisation of the densities, C W with C, W >= 0.

    Vahadane et al., Structure-preserving color normalization and sparse stain separation for histological images, IEEE
    TMI 35(8), 2016: minimise |V - C W|^2 / 2 + 0.1 |C|_1 with unit rows of W. With two dyes the sparse code of a pixel
    has a closed form; the dictionary is updated row by row. From a fixed start this is deterministic.

    Args:
        density_ND: densities of stained pixels, (N, 3).
        start: vectors (2, 3) to begin with, Macenko's.

    Returns:
        Unit vectors (2, 3) without negative components, haematoxylin first.
    """
    sample = np.maximum(density_ND[:: max(1, len(density_ND) // _SAMPLE)], 0.0).astype(np.float64)
    dyes = _unit(np.maximum(start, 1e-3))
    for _ in range(_MOST_ROUNDS):
        before = dyes
        code = sparse_code(sample, dyes)
        dyes = _dictionary(sample, code, dyes)
        if np.abs(dyes - before).max() < _STILL:
            break
    return _ordered(dyes)


def sparse_code(density_ND: Floats, vectors: Matrix) -> Matrix:
    """Amounts C >= 0 that minimise |V - C W|^2 / 2 + 0.1 |C|_1 for unit rows of W; (N, 2).

    Two dyes leave four cases: both, either, none. Where the free optimum is negative in one amount, that amount is 0 in
    the constrained optimum too, for the problem is convex and the dyes overlap (W W^T has no negative entry).
    """
    overlap = float(vectors[0] @ vectors[1])
    alone = density_ND @ vectors.T - _SPARSITY
    both = (alone - overlap * alone[:, ::-1]) / max(1.0 - overlap**2, 1e-9)
    alone = np.maximum(alone, 0.0)
    code: Matrix = np.where(both <= 0.0, 0.0, np.where(both[:, ::-1] <= 0.0, alone, both))
    return code


def _dictionary(sample: Matrix, code: Matrix, vectors: Matrix) -> Matrix:
    """One pass of block coordinate descent over the rows (Mairal et al., JMLR 11, 2010, algorithm 2)."""
    weights, towards = code.T @ code, code.T @ sample
    updated = vectors.copy()
    for row in range(2):
        if weights[row, row] > 1e-9:
            step = (towards[row] - weights[row] @ updated) / weights[row, row]
            updated[row] = np.maximum(updated[row] + step, 0.0)
    return _unit(updated)


def _unit(vectors: Matrix) -> Matrix:
    unit: Matrix = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return unit


def _ordered(vectors: Matrix) -> Matrix:
    """Haematoxylin first: the order that lies nearer to the published vectors.

    The usual rule, more red is haematoxylin, swaps the dyes on slides where both take little red.
    """
    straight = sum(angle_between(vectors[k], PUBLISHED[k]) for k in range(2))
    crossed = sum(angle_between(vectors[1 - k], PUBLISHED[k]) for k in range(2))
    return vectors if straight <= crossed else vectors[::-1].copy()
