"""Runs of a sweep in, one row for each of them out: what varies, its scores, and its distance to the first."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Any

import pandas as pd

from tilewise.errors import UsageError
from tilewise.evaluation.compare import paired_difference
from tilewise.evaluation.config import EvaluationConfig
from tilewise.evaluation.evaluate_predictions import count_training, evaluate
from tilewise.evaluation.evaluation import Evaluation
from tilewise.evaluation.resample import METRICS
from tilewise.evaluation.results import Scores
from tilewise.evaluation.sample import Sample
from tilewise.folds import Folds
from tilewise.inference.predictions import Predictions
from tilewise.metrics import PrimaryMetric, primary_score
from tilewise.store import write_editable
from tilewise.sweep.train_variants import VariantResult
from tilewise.sweep.variants import factor_columns


@dataclass(frozen=True)
class SweepRow:
    """One variant.

    Attributes:
        name: of the variant.
        factors: recipe key -> value, for every key that differs between variants.
        run: folder of its run, from the sweep's.
        validation: mean over folds of the metric on the `validation` part; None where no fold has one.
        test: metric -> value, low, high, over the test slides that every variant has.
        holdout: the same of the hold-out; empty where there is none.
        difference: metric -> `difference` (value, low, high) to the first variant that has scores, and `p_value`.
        adjusted: metric -> p-value of the difference, adjusted for the number of rows (Holm 1979).
        num_slides: test slides of its own, those that others lack counted in.
        seconds: that it took.
        notes: what was changed because the machine lacks it.
        error: why it has no scores; None where it has.
        also: names of further rows of the grid, which are the very same.
    """

    name: str
    factors: Mapping[str, Any]
    run: str
    validation: float | None = None
    test: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    holdout: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    difference: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    adjusted: Mapping[str, float | None] = field(default_factory=dict)
    num_slides: int = 0
    seconds: float | None = None
    notes: tuple[str, ...] = ()
    error: str | None = None
    also: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


@dataclass(frozen=True)
class SweepTable:
    """All rows, and what holds for all of them.

    Attributes:
        rows: in the order of the grid.
        num_slides: test slides that every variant has, which all scores are of.
        left_out: test slides that some variant lacks.
        level: of the intervals.
        metric: that variants are chosen and compared by.
    """

    rows: tuple[SweepRow, ...]
    num_slides: int
    left_out: tuple[str, ...]
    level: float
    metric: PrimaryMetric = "macro_f1"

    @property
    def chosen(self) -> SweepRow | None:
        """The variant with the best `validation` score, the first of equals: chosen without a look at the test part.

        None where there are no two to choose from.
        """
        scored = [row for row in self.rows if row.validation is not None]
        return max(scored, key=lambda row: row.validation or 0.0) if len(scored) > 1 else None

    def write_csv(self, path: Path) -> None:
        """One line for each variant, all metrics."""
        lines = [_flat(row, self.metric) for row in self.rows]
        write_editable(path, pd.DataFrame(lines).to_csv(index=False, lineterminator="\n", float_format="%.6f"))


@dataclass
class Scorer:
    """Scores variants; what was scored once is not scored again while the slides that all have stay the same.

    Attributes:
        config: the metric, and of the intervals.
        seed: of the resamples.
    """

    config: EvaluationConfig
    seed: int
    _tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    _known: dict[tuple[str, str, frozenset[str]], dict[str, Any]] = field(default_factory=dict)

    def tabulate(self, done: Sequence[VariantResult], folds: Folds) -> SweepTable:
        """Score every variant on the test slides that all of them have, and compare each with the first.

        Args:
            done: what became of the variants so far, in the order of the rows.
            folds: of all slides that any variant has; the same at every call.

        Raises:
            UsageError: two variants have no test slide in common.
        """
        tables = {one.variant.name: self._read(one) for one in done if one.error is None}
        tests = {name: frozenset(_part(table, "test")["slide"]) for name, table in tables.items()}
        everywhere = reduce(frozenset.intersection, tests.values()) if tests else frozenset[str]()
        if tests and not everywhere:
            raise UsageError("the variants have no test slide in common; compare variants that keep the same slides")
        columns = factor_columns([one.variant for one in done])
        first = next(iter(tables), None)
        rows = []
        for number, one in enumerate(done):
            name = one.variant.name
            row = SweepRow(
                name=name,
                factors={key: values[number] for key, values in columns.items()},
                run=f"variants/{one.folder.root.name}",
                seconds=one.seconds,
                notes=one.variant.notes,
                error=one.error,
                also=one.variant.also,
            )
            if first is not None and name in tables:
                if (name, first, everywhere) not in self._known:
                    own, other = _only(tables[name], everywhere), _only(tables[first], everywhere)
                    evaluation = self._evaluate(one, own, folds)
                    against = None if name == first else _part(other, "test")
                    self._known[name, first, everywhere] = self._fields(evaluation, own, against, folds)
                row = replace(row, **self._known[name, first, everywhere], num_slides=len(tests[name]))
            rows.append(row)
        left_out = sorted(frozenset[str]().union(*tests.values()) - everywhere)
        return SweepTable(_adjust(rows), len(everywhere), tuple(left_out), self.config.level, self.config.metric)

    def _read(self, one: VariantResult) -> pd.DataFrame:
        """A finished run's predictions, read once however often the table is written."""
        name = one.variant.name
        if name not in self._tables:
            self._tables[name] = Predictions.read(one.folder.predictions).table
        return self._tables[name]

    def _evaluate(self, one: VariantResult, table: pd.DataFrame, folds: Folds) -> Evaluation:
        """A run of all slides has been scored already, by the same resamples."""
        if Folds.read(one.folder.folds) == folds and set(_part(table, "test")["slide"]) == _tested(folds):
            return Evaluation.read(one.folder.evaluation)
        return evaluate(table, folds.classes, self.config, seed=self.seed, training_counts=count_training(folds))

    def _fields(
        self, evaluation: Evaluation, table: pd.DataFrame, first: pd.DataFrame | None, folds: Folds
    ) -> dict[str, Any]:
        """Of a row."""
        difference = {}
        if first is not None:
            pair = paired_difference(_part(table, "test"), first, folds.classes, self.config, seed=self.seed)
            metrics = pair["metrics"].items()
            difference = {name: {key: row[key] for key in ("difference", "p_value")} for name, row in metrics}
        return {
            "validation": validation_score(table, folds.classes, self.config.metric),
            "test": _plain(evaluation.out_of_fold),
            "holdout": {} if evaluation.holdout is None else _plain(evaluation.holdout),
            "difference": difference,
        }


def _plain(scores: Scores) -> dict[str, dict[str, float | None]]:
    return {name: asdict(scores.estimate(name)) for name in METRICS}


def validation_score(table: pd.DataFrame, classes: Sequence[str], metric: PrimaryMetric) -> float | None:
    """Mean of the metric over the folds in whose `validation` part it is defined; None where there are none."""
    validation = _part(table, "validation")
    samples = [Sample.of(part, classes) for _, part in validation.groupby("fold")]
    scores = [primary_score(metric, one.truth_N, one.predicted_N, one.probabilities_NC) for one in samples]
    defined = [score for score in scores if score is not None]
    return statistics.fmean(defined) if defined else None


def _adjust(rows: Sequence[SweepRow]) -> tuple[SweepRow, ...]:
    """With the p-values of all rows beside each other, one in twenty is small by chance."""
    adjusted: list[dict[str, float | None]] = [{} for _ in rows]
    for name in METRICS:
        values = {
            number: row.difference[name]["p_value"]
            for number, row in enumerate(rows)
            if row.difference and row.difference[name]["p_value"] is not None
        }
        for number, value in _holm(values).items():
            adjusted[number][name] = value
    return tuple(replace(row, adjusted=more) for row, more in zip(rows, adjusted, strict=True))


def _holm(p_values: Mapping[int, float]) -> dict[int, float]:
    """Holm's step-down adjustment."""
    adjusted, largest = {}, 0.0
    for rank, number in enumerate(sorted(p_values, key=lambda number: p_values[number])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[number]))
        adjusted[number] = largest
    return adjusted


def _part(table: pd.DataFrame, name: str) -> pd.DataFrame:
    return table[(table["part"] == name) & table["label"].notna()]


def _only(table: pd.DataFrame, tests: frozenset[str]) -> pd.DataFrame:
    """The predictions without test slides that another variant lacks; hold-outs are compared by themselves."""
    return table[(table["part"] != "test") | table["slide"].isin(tests)]


def _flat(row: SweepRow, metric: PrimaryMetric) -> dict[str, Any]:
    flat: dict[str, Any] = {"variant": row.name, **row.factors, f"validation_{metric}": row.validation}
    for where, scores in (("test", row.test), ("holdout", row.holdout)):
        for name, score in scores.items():
            flat |= {f"{where}_{name}": score["value"], f"{where}_{name}_low": score["low"]}
            flat[f"{where}_{name}_high"] = score["high"]
    for name, comparison in row.difference.items():
        flat |= {f"difference_{name}{end}": comparison["difference"][key] for end, key in _ENDS.items()}
        flat |= {f"p_value_{name}": comparison["p_value"], f"p_value_{name}_holm": row.adjusted.get(name)}
    flat |= {"num_slides": row.num_slides, "seconds": row.seconds, "run": row.run, "same_as": ", ".join(row.also)}
    return flat | {"notes": " ".join(row.notes), "error": row.error or ""}


_ENDS = {"": "value", "_low": "low", "_high": "high"}


def _tested(folds: Folds) -> set[str]:
    return {name for fold in folds.folds for name in fold.test}
