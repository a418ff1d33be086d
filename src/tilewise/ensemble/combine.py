"""Runs' predictions in, the combined predictions and the combiner that is deployed out.

Everything is fitted on `validation` predictions. For fold k these are the `validation` rows of fold k alone: the
validation part of another fold may hold slides of this fold's test part. The combiner that is deployed is fitted to
all folds' validation rows together; it has no score but that on the hold-out, which no fold has seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from tilewise.ensemble.examples import ClassWeighting, Examples
from tilewise.ensemble.fit import average, fit_combiner
from tilewise.ensemble.library import LibraryRun, check_same
from tilewise.ensemble.methods import Method
from tilewise.errors import UsageError
from tilewise.evaluation.sample import REPEAT
from tilewise.folds import derived_seed
from tilewise.inference.combiner import Combiner
from tilewise.inference.predictions import PREFIX, Predictions
from tilewise.metrics import PrimaryMetric, primary_score

Floats = npt.NDArray[np.float64]

_KNOWN = ["slide", "label", "group", "fold", "part"]


@dataclass(frozen=True)
class Combined:
    """Several runs as one.

    Attributes:
        predictions: the `test` part of each fold by the combiner of that fold, and the `holdout` by the deployed one.
            There are no `validation` rows: the combiners were fitted to them. `num_tiles` is the fewest of any run.
        fold_combiners: one per fold.
        combiner: the one that is deployed.
        validation_scores: of each run on its validation parts, pooled, by the metric; how a best single run is chosen
            without looking at a test part.
    """

    predictions: Predictions
    fold_combiners: tuple[Combiner, ...]
    combiner: Combiner
    validation_scores: tuple[float, ...]

    @property
    def best_run(self) -> int:
        """Position of the run with the highest score on validation; the first of equals."""
        return int(np.argmax(self.validation_scores))


def combine(
    runs: Sequence[LibraryRun],
    method: Method,
    *,
    weighting: ClassWeighting = "none",
    seed: int = 0,
    metric: PrimaryMetric = "macro_f1",
) -> Combined:
    """Fit and apply combiners of runs.

    Args:
        runs: of the same folds.
        method: how.
        weighting: of the classes where something is fitted to a loss.
        seed: of what is random in the fits.
        metric: that runs are scored by on their validation parts.

    Raises:
        UsageError: the runs cannot be combined, or a fold's validation part has nothing to fit to; names it.
        ArtifactError: a run's predictions are not of its own folds.
    """
    check_same(runs)
    classes = runs[0].predictions.classes
    tables = [run.rows() for run in runs]
    fitting = _Fitting(tables, classes, method, weighting)
    folds = range(len(runs[0].folds.folds))
    fold_combiners = tuple(fitting.fit([number], f"fold {number}", derived_seed(seed, number)) for number in folds)
    combiner = fitting.fit(list(folds), "the folds together", derived_seed(seed, len(folds)))
    parts = [_apply(tables, classes, "test", number, one) for number, one in enumerate(fold_combiners)]
    if runs[0].folds.holdout:
        parts.append(_apply(tables, classes, "holdout", -1, combiner))
    scores = tuple(_select_score(table, classes, metric) for table in tables)
    return Combined(Predictions.join(parts), fold_combiners, combiner, scores)


@dataclass(frozen=True)
class _Fitting:
    tables: Sequence[pd.DataFrame]
    classes: tuple[str, ...]
    method: Method
    weighting: ClassWeighting

    def fit(self, folds: Sequence[int], where: str, seed: int) -> Combiner:
        """The combiner fitted to the validation rows of some folds."""
        if self.method == "average":
            return average(len(self.tables))
        rows = [table[(table["part"] == "validation") & table["fold"].isin(folds)] for table in self.tables]
        try:
            examples = Examples.of(rows, self.classes, self.weighting)
        except UsageError as error:
            raise UsageError(f"nothing can be fitted to the validation part of {where}: {error}") from error
        return fit_combiner(self.method, examples, seed=seed)


def _apply(
    tables: Sequence[pd.DataFrame], classes: tuple[str, ...], part: str, fold: int, combiner: Combiner
) -> Predictions:
    rows = [table[(table["part"] == part) & (table["fold"] == fold)] for table in tables]
    columns = [PREFIX + name for name in classes]
    probabilities_RNC = np.stack([table[columns].to_numpy(np.float64) for table in rows])
    num_tiles_N = np.stack([table["num_tiles"].to_numpy(np.int64) for table in rows]).min(axis=0)
    known = [name for name in (*_KNOWN, REPEAT) if name in rows[0]]
    return Predictions.of(rows[0][known], combiner.apply(probabilities_RNC), num_tiles_N, classes)


def _select_score(table: pd.DataFrame, classes: tuple[str, ...], metric: PrimaryMetric) -> float:
    rows = table[(table["part"] == "validation") & table["label"].notna()]
    if not len(rows):
        return 0.0
    index = {name: position for position, name in enumerate(classes)}
    truth_N, predicted_N = (rows[column].map(index).to_numpy(np.int64) for column in ("label", "predicted"))
    probabilities_NC = rows[[PREFIX + name for name in classes]].to_numpy(np.float64)
    return primary_score(metric, truth_N, predicted_N, probabilities_NC) or 0.0
