"""Confidence intervals from resamples, honest where slides or groups are few.

The interval of a score is `value ± t * SE` on the logit scale, where SE is the bootstrap standard error, widened by
sqrt(n / (n - 1)), and t the quantile of Student's distribution with n - 1 degrees of freedom, n being the number of
independent units (groups, or slides where every slide is a group of its own). The logit keeps the interval inside
0 .. 1 and lets it lean to the right side. There a half-length r > 2, which few units and a score near 1 make, would
reach down to nothing; it becomes 2 + 2 ln(r / 2), which grows as that of Wilson's score interval does (Newcombe 2001,
"Logit confidence intervals and the inverse sinh transformation"). A percentile interval, the usual choice, is as good
with hundreds of units and too short with few: `benchmarks/honesty.py models` measures both. Sources: Efron and
Tibshirani 1993, chapters 12 and 13; Cameron, Gelbach and Miller 2008 for t and few clusters; Hesterberg 2015 for the
widening.

Where the score is 0 or 1 every resample agrees and the bootstrap says nothing; the limit of Clopper and Pearson (1934)
for n units stands in: the error rate that would have shown itself with probability 1 - (1 - level) / 2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_LONGEST_STRAIGHT = 2.0  # half-length on the logit scale


@dataclass(frozen=True)
class Estimate:
    """A number and its confidence interval, of 95 % unless the recipe's `evaluation.level` says otherwise.

    All three are None where the number is not defined, the ends alone where nothing tells how sure it is. An estimate
    unpacks into them, is its value as a `float` (nan where it is not defined), and prints with as many digits as asked
    for, two by default.

    Example:
        >>> value, low, high = estimate = tw.Estimate(0.431, 0.377, 0.482)
        >>> float(estimate), f"{estimate}", f"{estimate:.1%}"
        (0.431, '0.43 (0.38 to 0.48)', '43.1% (37.7% to 48.2%)')
    """

    value: float | None
    low: float | None
    high: float | None

    def __iter__(self) -> Iterator[float | None]:
        return iter((self.value, self.low, self.high))

    def __float__(self) -> float:
        return math.nan if self.value is None else self.value

    def __format__(self, spec: str) -> str:
        spec = spec or ".2f"
        if self.value is None:
            return "not defined"
        if self.low is None or self.high is None:
            return f"{self.value:{spec}} (no interval)"
        return f"{self.value:{spec}} ({self.low:{spec}} to {self.high:{spec}})"

    def __str__(self) -> str:
        return format(self)


UNDEFINED = Estimate(None, None, None)


def score_interval(
    value: float, resampled_R: Floats, *, num_units: int, level: float, limit: float, widening: float = 1.0
) -> Estimate:
    """A score with its interval.

    Args:
        value: the score, from 0 to 1.
        resampled_R: the score of each resample; nan where it is not defined there.
        num_units: independent units it rests on. A single one says nothing about others: the interval is 0 to 1.
        level: confidence level.
        limit: low end for a score of 1 (and, mirrored, high end for 0); see `exact_limit`.
        widening: of the variance of the resamples, for what they do not show: other training slides
            (`TrainingShare`), and errors that few slides did not make (`unseen_widening`).
    """
    if math.isnan(value):
        return UNDEFINED
    low, high = _bounds(value, resampled_R * math.sqrt(widening), num_units, level, limit)
    return Estimate(float(value), float(min(low, value)), float(max(high, value)))


def difference_interval(value: float, resampled_R: Floats, *, num_units: int, level: float) -> Estimate:
    """A difference of two scores with its interval, `value ± t * SE`, inside -1 .. 1."""
    if math.isnan(value):
        return UNDEFINED
    spread = standard_error(resampled_R, num_units)
    reach = 2.0 if spread is None else student_quantile(level, num_units) * spread
    return Estimate(float(value), max(-1.0, float(value) - reach), min(1.0, float(value) + reach))


def exact_limit(num_units: int, level: float) -> float:
    """Low end of the Clopper-Pearson interval when all of `num_units` are right."""
    return ((1.0 - level) / 2.0) ** (1.0 / num_units) if num_units > 0 else 0.0


def standard_error(resampled_R: Floats, num_units: int) -> float | None:
    """Standard deviation over resamples, without the bias of drawing from n units; None where there is no telling."""
    defined = resampled_R[~np.isnan(resampled_R)]
    if num_units < 2 or defined.size < 2:
        return None
    return float(defined.std(ddof=1)) * math.sqrt(num_units / (num_units - 1))


def student_quantile(level: float, num_units: int) -> float:
    """Two-sided quantile of Student's t with num_units - 1 degrees of freedom."""
    from scipy.special import stdtrit

    quantile: Any = stdtrit(num_units - 1, (1.0 + level) / 2.0)
    return float(quantile)


def _bounds(value: float, resampled_R: Floats, num_units: int, level: float, limit: float) -> tuple[float, float]:
    if num_units < 2:
        return 0.0, 1.0
    if value >= 1.0:
        return limit, 1.0
    if value <= 0.0:
        return 0.0, 1.0 - limit
    spread = standard_error(resampled_R, num_units)
    if spread is None:
        return 0.0, 1.0
    centre = math.log(value / (1.0 - value))
    reach = student_quantile(level, num_units) * spread / (value * (1.0 - value))
    if reach > _LONGEST_STRAIGHT:
        reach = _LONGEST_STRAIGHT * (1.0 + math.log(reach / _LONGEST_STRAIGHT))
    return _logistic(centre - reach), _logistic(centre + reach)


def _logistic(x: float) -> float:
    # Two forms, so that the exponential never overflows.
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))
