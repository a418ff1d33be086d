"""An inverse power law through scores at several numbers of slides, and what it promises for more of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student_t

from tilewise.evaluation.interval import Estimate

Floats = npt.NDArray[np.float64]

_EXPONENTS = np.linspace(0.2, 1.2, 21)


@dataclass(frozen=True)
class Extrapolation:
    """What is expected with other numbers of slides.

    Attributes:
        sizes: numbers of slides, the run's own first.
        scores: expected there, with intervals.
        gains: expected over the run's own number, with intervals; 0 at the first.
    """

    sizes: tuple[float, ...]
    scores: tuple[Estimate, ...]
    gains: tuple[Estimate, ...]


def extrapolate(sizes_K: Floats, scores_RK: Floats, wanted_M: Floats, *, num_units: int, level: float) -> Extrapolation:
    """Fit score = a - b * size^-c with b >= 0 and c from 0.2 to 1.2 by least squares, and read it at other sizes.

    The law and the fit follow Figueroa et al. (Predicting sample size required for classification performance, 2012).
    Each resample is fitted by itself, exponent and all; intervals are Student's, of the spread over resamples.

    Args:
        sizes_K: numbers of slides that were tried.
        scores_RK: the score at each, of all slides (first row) and of resamples of their groups.
        wanted_M: numbers of slides to read the law at; the first is that of the run.
        num_units: groups that were resampled.
        level: of confidence.
    """
    read_RM = np.clip(_read(sizes_K, scores_RK, wanted_M), 0.0, 1.0)
    quantile = float(student_t.ppf(0.5 + level / 2.0, max(1, num_units - 1)))

    def estimates(values_RM: Floats, low: float) -> tuple[Estimate, ...]:
        half_M = quantile * values_RM[1:].std(axis=0, ddof=1)
        return tuple(
            Estimate(float(value), float(max(low, value - half)), float(min(1.0, value + half)))
            for value, half in zip(values_RM[0], half_M, strict=True)
        )

    return Extrapolation(tuple(wanted_M.tolist()), estimates(read_RM, 0.0), estimates(read_RM - read_RM[:, :1], -1.0))


def _read(sizes_K: Floats, scores_RK: Floats, wanted_M: Floats) -> Floats:
    """The laws of the resamples at the wanted sizes: float64 (R, M)."""
    mean_R = scores_RK.mean(axis=1, keepdims=True)
    best_R = np.full(len(scores_RK), np.inf)
    read_RM = np.empty((len(scores_RK), len(wanted_M)))
    for exponent in _EXPONENTS:
        # Centred, so that the slope is a ratio of two sums.
        basis_K, wanted_basis_M = -(sizes_K**-exponent), -(wanted_M**-exponent)
        centre = basis_K.mean()
        slope_R = np.maximum((scores_RK - mean_R) @ (basis_K - centre) / np.square(basis_K - centre).sum(), 0.0)
        fitted_RK = mean_R + slope_R[:, None] * (basis_K - centre)
        error_R = np.square(scores_RK - fitted_RK).sum(axis=1)
        better_R = error_R < best_R - 1e-15
        best_R = np.where(better_R, error_R, best_R)
        read_RM[better_R] = (mean_R + slope_R[:, None] * (wanted_basis_M - centre))[better_R]
    return read_RM
