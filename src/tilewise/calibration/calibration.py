"""What turns a classifier's scores into probabilities and sets, and what both are worth, fold by fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tilewise.calibration.prediction_sets import COLUMN, SEPARATOR, SetThresholds
from tilewise.calibration.scaling import Scaling

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

PREFIX = "calibrated_"
_LEAST_SLIDES = 20
_LEAST_OF_CLASS = 2


@dataclass(frozen=True)
class Calibration:
    """What a classifier carries beside its models; it changes no predicted class.

    Attributes:
        scaling: from scores to probabilities; None where there were too few slides to fit it to.
        thresholds: of prediction sets.
    """

    scaling: Scaling | None
    thresholds: SetThresholds

    @classmethod
    def fit(cls, probabilities_NC: Floats, truth_N: Integers) -> Self:
        """Fit to slides that the models did not learn from: probabilities and class indices."""
        counts_C = np.bincount(truth_N, minlength=probabilities_NC.shape[1])
        is_enough = len(truth_N) >= _LEAST_SLIDES and counts_C.min() >= _LEAST_OF_CLASS
        scaling = Scaling.fit(probabilities_NC, truth_N) if is_enough else None
        return cls(scaling, SetThresholds.fit(probabilities_NC, truth_N))

    def columns(self, probabilities_NC: Floats, classes: Sequence[str]) -> dict[str, Any]:
        """See `columns`."""
        scaled_NC = None if self.scaling is None else self.scaling.apply(probabilities_NC)
        return columns(scaled_NC, self.thresholds.sets(probabilities_NC), classes)

    def to_json(self) -> dict[str, Any]:
        """Plain data, from which `from_json` makes the same calibration."""
        scaling = None if self.scaling is None else self.scaling.to_json()
        return {"scaling": scaling, "thresholds": self.thresholds.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None, num_classes: int) -> Self | None:
        """The calibration of plain data; None of none, as in classifiers of earlier versions.

        Raises:
            ValueError: it is of another number of classes, or no calibration.
        """
        if data is None:
            return None
        scaling = None if data["scaling"] is None else Scaling.from_json(data["scaling"])
        thresholds = SetThresholds.from_json(data["thresholds"])
        if {len(thresholds.by_class), num_classes if scaling is None else len(scaling.biases)} != {num_classes}:
            raise ValueError("a calibration of other classes")
        return cls(scaling, thresholds)


@dataclass(frozen=True, eq=False)
class CrossFitted:
    """Probabilities and sets of out-of-fold slides, each fold's by a calibration that was not fitted to its slides.

    Attributes:
        calibrated_NC: None where a fold leaves too few slides to fit to.
        sets_NC: per class, see `SetThresholds`; None where there is one fold.
        overall_sets_NC: with one threshold for all classes.
    """

    calibrated_NC: Floats | None
    sets_NC: Booleans | None
    overall_sets_NC: Booleans | None


def cross_fit(probabilities_NC: Floats, truth_N: Integers, fold_N: Integers, group_N: Integers) -> CrossFitted:
    """Calibrate each fold's test part by what is fitted to the test parts of the others.

    No slide or group of the part is fitted to. The models behind the other parts have learnt from its slides, as in
    every cross-validation; what they say of other slides depends on them very little.

    Args:
        probabilities_NC: of slides, each by the one model that did not learn from it.
        truth_N: their class indices.
        fold_N: whose test part they are of.
        group_N: what stays together.
    """
    calibrated_NC, sets_NC = np.empty_like(probabilities_NC), np.ones(probabilities_NC.shape, bool)
    overall_sets_NC, is_scaled = sets_NC.copy(), True
    folds = np.unique(fold_N)
    if len(folds) < 2:
        return CrossFitted(None, None, None)
    for fold in folds:
        own_N = fold_N == fold
        others_N = ~own_N & ~np.isin(group_N, group_N[own_N])
        fitted = Calibration.fit(probabilities_NC[others_N], truth_N[others_N])
        sets_NC[own_N] = fitted.thresholds.sets(probabilities_NC[own_N])
        overall_sets_NC[own_N] = fitted.thresholds.sets(probabilities_NC[own_N], by_class=False)
        if fitted.scaling is None:
            is_scaled = False
        else:
            calibrated_NC[own_N] = fitted.scaling.apply(probabilities_NC[own_N])
    return CrossFitted(calibrated_NC if is_scaled else None, sets_NC, overall_sets_NC)


def columns(calibrated_NC: Floats | None, sets_NC: Booleans | None, classes: Sequence[str]) -> dict[str, Any]:
    """Columns of a table of predictions: `calibrated_<class>`, and sets as names joined by `|`, as far as there are."""
    named: dict[str, Any] = {}
    if calibrated_NC is not None:
        named |= {PREFIX + name: calibrated_NC[:, index] for index, name in enumerate(classes)}
    if sets_NC is not None:
        rows = [[name for name, is_in in zip(classes, row, strict=True) if is_in] for row in sets_NC]
        named[COLUMN] = [SEPARATOR.join(row) for row in rows]
    return named
