"""What a comparison holds: differences with their uncertainty, and what could have been told by it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tilewise.evaluation.interval import UNDEFINED, Estimate

_POWER = 0.8


@dataclass(frozen=True)
class Spread:
    """How uncertain a difference is.

    Attributes:
        variance: of the difference.
        training_share: share of the variance that is the training's own and shrinks with more seeds; None where that
            could not be told, and is not in `variance`.
        degrees_of_freedom: of Student's t.
    """

    variance: float
    training_share: float | None
    degrees_of_freedom: float

    @property
    def standard_error(self) -> float:
        """Of the difference."""
        return math.sqrt(self.variance)

    def quantile(self, level: float) -> float:
        """Two-sided quantile of Student's t."""
        from scipy.special import stdtrit

        return float(stdtrit(self.degrees_of_freedom, (1.0 + level) / 2.0))

    def probability_above(self, value: float, bound: float) -> float:
        """That the true difference is above a bound, the estimate being `value`, all differences being as likely."""
        from scipy.special import stdtr

        if self.variance == 0.0:
            return (value > bound) + 0.5 * (value == bound)
        return float(stdtr(self.degrees_of_freedom, (value - bound) / self.standard_error))


@dataclass(frozen=True)
class MetricDifference:
    """Of one metric, how much higher A scores than B.

    Attributes:
        a: mean score of A over its seeds; None where it is not defined.
        b: that of B.
        spread: of the difference; None where there is no telling.
        fold_p_value: two-sided, of Nadeau and Bengio's corrected t test over folds; None without folds in common.
        level: of the interval.
        margin: the least difference that matters.
        num_slides: that were compared.
    """

    a: float | None
    b: float | None
    spread: Spread | None
    fold_p_value: float | None
    level: float
    margin: float
    num_slides: int

    @classmethod
    def undefined(cls, a: float | None, b: float | None, level: float, margin: float) -> MetricDifference:
        """Where a score is not defined."""
        return cls(a, b, None, None, level, margin, 0)

    @property
    def value(self) -> float | None:
        """A less B."""
        return None if self.a is None or self.b is None else self.a - self.b

    @property
    def difference(self) -> Estimate:
        """A less B, with its interval inside -1 .. 1."""
        value = self.value
        if value is None:
            return UNDEFINED
        reach = 2.0 if self.spread is None else self.spread.quantile(self.level) * self.spread.standard_error
        return Estimate(value, max(-1.0, value - reach), min(1.0, value + reach))

    @property
    def p_value(self) -> float | None:
        """Two-sided, that so large a difference comes from equal recipes; None where there is no telling."""
        if self.value is None or self.spread is None:
            return None
        return min(1.0, 2.0 * self.spread.probability_above(-abs(self.value), 0.0))

    def probability_better(self, margin: float = 0.0) -> float | None:
        """That A is better by more than a margin; of a negative one, that it is not worse by so much."""
        if self.value is None or self.spread is None:
            return None
        return self.spread.probability_above(self.value, margin)

    def probability_worse(self, margin: float = 0.0) -> float | None:
        """That B is better by more than a margin."""
        probability = self.probability_better(-margin)
        return None if probability is None else 1.0 - probability

    def power(self, difference: float) -> float | None:
        """How probably a true difference of this size is told from none with these slides, folds and seeds."""
        from scipy.special import nctdtr

        if self.spread is None or self.spread.variance == 0.0:
            return None
        limit, distance = self.spread.quantile(self.level), abs(difference) / self.spread.standard_error
        degrees = self.spread.degrees_of_freedom
        return float(1.0 - nctdtr(degrees, distance, limit) + nctdtr(degrees, distance, -limit))

    @property
    def detectable(self) -> float | None:
        """The difference that would be told from none with a power of 80 %."""
        from scipy.special import nctdtrinc

        if self.spread is None or self.spread.variance == 0.0:
            return None
        limit, degrees = self.spread.quantile(self.level), self.spread.degrees_of_freedom
        return float(nctdtrinc(degrees, 1.0 - _POWER, limit)) * self.spread.standard_error

    def slides_needed(self, difference: float) -> int | None:
        """Slides with which a true difference of this size would be told from none with a power of 80 %.

        The variance falls as the number of slides grows, with as many folds and seeds as here.
        """
        detectable = self.detectable
        if detectable is None or difference == 0.0:
            return None
        return math.ceil(self.num_slides * (detectable / difference) ** 2)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        spread = self.spread
        return {
            "a": self.a,
            "b": self.b,
            "difference": self.difference.__dict__,
            "standard_error": None if spread is None else spread.standard_error,
            "training_share": None if spread is None else spread.training_share,
            "degrees_of_freedom": None if spread is None else spread.degrees_of_freedom,
            "p_value": self.p_value,
            "fold_p_value": self.fold_p_value,
            "probability_a_better": self.probability_better(),
            "probability_a_better_by_margin": self.probability_better(self.margin),
            "probability_b_better_by_margin": self.probability_worse(self.margin),
            "power_at_margin": self.power(self.margin),
            "detectable_difference": self.detectable,
            "slides_needed_for_margin": self.slides_needed(self.margin),
        }


@dataclass(frozen=True)
class PairedDifference:
    """How much better A scores than B over the same slides.

    Attributes:
        num_slides: that were compared.
        num_groups: that they make up.
        unit: what is independent of each other, `group` or `slide`.
        level: of the intervals.
        margin: the least difference that matters.
        num_runs: seeds of A, and of B.
        same_folds: whether A and B were trained on the same folds, and are paired fold by fold.
        metrics: metric -> its difference.
    """

    num_slides: int
    num_groups: int
    unit: str
    level: float
    margin: float
    num_runs: tuple[int, int]
    same_folds: bool
    metrics: Mapping[str, MetricDifference]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        data = {name: value for name, value in self.__dict__.items() if name != "metrics"}
        return data | {"metrics": {name: one.to_json() for name, one in self.metrics.items()}}
