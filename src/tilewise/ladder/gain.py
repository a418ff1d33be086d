"""How much a rung gains over another, over the inner folds that both were scored on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tilewise.evaluation.interval import UNDEFINED, Estimate, student_quantile


@dataclass(frozen=True)
class Gain:
    """Mean difference of two scores.

    Attributes:
        estimate: the mean with its interval.
        standard_error: of the mean; None where fewer than two inner folds have both scores.
    """

    estimate: Estimate
    standard_error: float | None

    def exceeds(self, min_standard_errors: float) -> bool:
        """Whether the gain is larger than so many of its standard errors."""
        if self.estimate.value is None or self.standard_error is None:
            return False
        return self.estimate.value > min_standard_errors * self.standard_error


def gain_of(scores: Sequence[float | None], others: Sequence[float | None], *, num_folds: int, level: float) -> Gain:
    """Gain of some scores over others of the same inner folds.

    Inner folds share slides that they learn from, so that the variance of their mean is larger than that of as many
    independent differences: by 1 + n * (test slides / train slides) (Nadeau and Bengio, Inference for the
    Generalization Error, 2003).

    Args:
        scores: of one rung, by inner fold and repeat; None where the metric is not defined.
        others: of the other rung.
        num_folds: inner folds of one repeat.
        level: of the interval.
    """
    pairs = zip(scores, others, strict=True)
    differences = np.array([a - b for a, b in pairs if a is not None and b is not None])
    if not differences.size:
        return Gain(UNDEFINED, None)
    mean, num = float(differences.mean()), differences.size
    if num < 2:
        return Gain(Estimate(mean, -1.0, 1.0), None)
    error = float(differences.std(ddof=1)) * math.sqrt(1.0 / num + 1.0 / (num_folds - 1))
    reach = student_quantile(level, num) * error
    return Gain(Estimate(mean, max(-1.0, mean - reach), min(1.0, mean + reach)), error)
