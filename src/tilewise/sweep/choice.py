"""What choosing a variant scores, when no slide helps to choose what predicts it.

The variant with the best `validation` score of all folds together is the one to go on with, but its test score is too
good: the slides of one fold's test part are validation slides of other folds and helped to choose it. Chosen in each
fold by that fold's own validation part, whatever was chosen is scored on slides that had no part in the choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import numpy.typing as npt
import pandas as pd

from tilewise.evaluation.sample import REPEAT, Sample
from tilewise.metrics import PrimaryMetric, primary_score

NAME = "whatever was chosen"
ValidationRows = frozenset[tuple[str, int]]


@dataclass(frozen=True)
class ChoiceScores:
    """Variants chosen fold by fold, and what they score together.

    Attributes:
        by_fold: name of the variant that each fold's own validation part calls the best, by fold number.
        test: metric -> value, low, high, over the test slides that every variant has. Of several folds the interval is
            about training and choosing on another cohort of this size.
        optimism: how much higher the variant that all validation parts call the best scores on them.
    """

    by_fold: Mapping[int, str]
    test: Mapping[str, Mapping[str, float | None]]
    optimism: float | None


def common_validation(tables: Sequence[pd.DataFrame]) -> ValidationRows:
    """Slides with the fold they are a validation slide of, of those that every variant has."""
    rows = [frozenset(zip(part["slide"], part["fold"], strict=True)) for part in map(_validation, tables)]
    return reduce(frozenset.intersection, rows) if rows else frozenset()


def validation_scores(
    table: pd.DataFrame, common: ValidationRows, classes: Sequence[str], metric: PrimaryMetric
) -> tuple[float | None, dict[int, float | None]]:
    """The metric over all folds' common validation slides together, and fold by fold; None where it is not defined."""
    part = _validation(table)
    part = part[[row in common for row in zip(part["slide"], part["fold"], strict=True)]]
    if part.empty:
        return None, {}
    # A slide is validated in several folds, which are several predictions of it.
    named = part.drop(columns=REPEAT, errors="ignore").assign(
        slide=[f"{slide}/{fold}" for slide, fold in zip(part["slide"], part["fold"], strict=True)]
    )
    sample = Sample.of(named, classes)

    def score(rows: npt.NDArray[np.bool_]) -> float | None:
        return primary_score(metric, sample.truth_N[rows], sample.predicted_N[rows], sample.probabilities_NC[rows])

    by_fold = {int(fold): score(sample.fold_N == fold) for fold in np.unique(sample.fold_N)}
    return score(np.ones(sample.num_slides, np.bool_)), by_fold


def choose_by_fold(scores: Mapping[str, Mapping[int, float | None]], folds: Sequence[int]) -> dict[int, str] | None:
    """The variant with the best score in each fold, the first of equals; None where a fold has none to choose by."""
    chosen = {}
    for fold in folds:
        defined = {name: by_fold[fold] or 0.0 for name, by_fold in scores.items() if by_fold.get(fold) is not None}
        if not defined:
            return None
        chosen[fold] = max(defined, key=lambda name: defined[name])
    return chosen


def _validation(table: pd.DataFrame) -> pd.DataFrame:
    return table[(table["part"] == "validation") & table["label"].notna()]
