"""Sets of classes that hold the true one with a stated probability (split conformal prediction)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

COVERAGE = 0.9
COLUMN = f"set_{100 * COVERAGE:.0f}"
SEPARATOR = "|"


@dataclass(frozen=True)
class SetThresholds:
    """The least probability with which a class is in a slide's set.

    The score is the probability of the true class (LAC: Sadinle, Lei and Wasserman, Least ambiguous set-valued
    classifiers, JASA 2019). `overall` promises the coverage over all slides, and may miss most of a rare class;
    `by_class` promises it for the slides of each class (Mondrian: Vovk, Gammerman and Shafer, 2005). The promise is
    about slides drawn like those that were fitted to, one from each group.

    Attributes:
        coverage: share of slides whose set holds their class.
        overall: the same for every class.
        by_class: of the classes, in their order; 0 puts a class into every set, where it has too few slides to fit to.
    """

    coverage: float
    overall: float
    by_class: tuple[float, ...]

    @classmethod
    def fit(cls, probabilities_NC: Floats, truth_N: Integers, coverage: float = COVERAGE) -> Self:
        """Thresholds from slides that the model did not learn from.

        Args:
            probabilities_NC: of the slides.
            truth_N: their class indices.
            coverage: share of slides whose set is to hold their class.
        """
        own_N = probabilities_NC[np.arange(len(truth_N)), truth_N]
        by_class = (_least(own_N[truth_N == index], coverage) for index in range(probabilities_NC.shape[1]))
        return cls(coverage, _least(own_N, coverage), tuple(by_class))

    def sets(self, probabilities_NC: Floats, *, by_class: bool = True) -> Booleans:
        """Which classes are in each slide's set, bool (N, C); the most probable one always is."""
        sets_NC: Booleans = probabilities_NC >= (np.array(self.by_class) if by_class else self.overall)
        sets_NC[np.arange(len(sets_NC)), probabilities_NC.argmax(axis=1)] = True
        return sets_NC

    def to_json(self) -> dict[str, Any]:
        """Plain data, from which `from_json` makes the same thresholds."""
        return {"coverage": self.coverage, "overall": self.overall, "by_class": list(self.by_class)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The thresholds of plain data."""
        return cls(float(data["coverage"]), float(data["overall"]), tuple(float(one) for one in data["by_class"]))


def least_slides(coverage: float = COVERAGE) -> int:
    """Slides of a class from which on it can be left out of a set."""
    return math.ceil(1.0 / (1.0 - coverage) - 1e-9) - 1


def _least(own_N: Floats, coverage: float) -> float:
    """The k-th smallest, k being the whole part of (n + 1)(1 - coverage); 0 where that is none."""
    rank = math.floor((len(own_N) + 1) * (1.0 - coverage) + 1e-9)
    return float(np.sort(own_N)[rank - 1]) if rank else 0.0
