"""Runs of a sweep in, one row for each of them out: what varies, its scores, and its distance to the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Any

import pandas as pd

from tilewise.errors import UsageError
from tilewise.evaluation.compare import holm, paired_difference
from tilewise.evaluation.config import EvaluationConfig
from tilewise.evaluation.evaluate_predictions import count_training, evaluate
from tilewise.evaluation.evaluation import Evaluation
from tilewise.evaluation.resample import METRICS
from tilewise.evaluation.results import Scores, few_units
from tilewise.evaluation.sample import Sample
from tilewise.evaluation.scores import score
from tilewise.evaluation.training_share import training_share
from tilewise.folds import Folds
from tilewise.inference.predictions import Predictions
from tilewise.metrics import PrimaryMetric
from tilewise.store import write_editable
from tilewise.sweep.choice import (
    NAME,
    ChoiceScores,
    choose_by_fold,
    common_validation,
    validation_scores,
)
from tilewise.sweep.train_variants import VariantResult
from tilewise.sweep.variants import factor_columns


@dataclass(frozen=True)
class SweepRow:
    """One variant.

    Attributes:
        name: of the variant.
        factors: recipe key -> value, for every key that differs between variants.
        run: folder of its run, from the sweep's.
        validation: the metric over the `validation` slides of all folds that every variant has; None without any.
        validation_by_fold: the same of each fold, by its number.
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
    validation_by_fold: Mapping[int, float | None] = field(default_factory=dict)
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
        choice: what choosing by validation scores, fold by fold; None where there is nothing to choose from or by.
        few_units: a sentence where the scores are of few groups; empty where they are not.
    """

    rows: tuple[SweepRow, ...]
    num_slides: int
    left_out: tuple[str, ...]
    level: float
    metric: PrimaryMetric = "macro_f1"
    choice: ChoiceScores | None = None
    few_units: str = ""

    @property
    def chosen(self) -> SweepRow | None:
        """The variant with the best `validation` score, the first of equals; None where there are no two.

        Its own test score is too good to be true of new slides: see `choice`.
        """
        scored = [row for row in self.rows if row.validation is not None]
        return max(scored, key=lambda row: row.validation or 0.0) if len(scored) > 1 else None

    def write_csv(self, path: Path) -> None:
        """One line for each variant, all metrics; the last is of whatever was chosen in each fold."""
        lines = [_flat(row, self.metric) for row in self.rows]
        if self.choice is not None:
            by_fold = "; ".join(f"fold {fold}: {name}" for fold, name in self.choice.by_fold.items())
            row = SweepRow(NAME, {}, "", test=self.choice.test, num_slides=self.num_slides, notes=(by_fold,))
            lines.append(_flat(row, self.metric))
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
    _known: dict[tuple[object, ...], dict[str, Any]] = field(default_factory=dict)
    _choices: dict[tuple[object, ...], dict[str, dict[str, float | None]]] = field(default_factory=dict)

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
        common = common_validation(list(tables.values()))
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
                key = (name, first, everywhere, common)
                if key not in self._known:
                    own, other = _only(tables[name], everywhere), _only(tables[first], everywhere)
                    evaluation = self._evaluate(one, own, folds)
                    against = None if name == first else _part(other, "test")
                    self._known[key] = self._fields(evaluation, own, against, folds)
                    validation, by_fold = validation_scores(own, common, folds.classes, self.config.metric)
                    self._known[key] |= {"validation": validation, "validation_by_fold": by_fold}
                row = replace(row, **self._known[key], num_slides=len(tests[name]))
            rows.append(row)
        left_out = tuple(sorted(frozenset[str]().union(*tests.values()) - everywhere))
        few = ""
        if first is not None:
            sample = Sample.of(_part(_only(tables[first], everywhere), "test"), folds.classes)
            few = few_units(sample.num_groups, sample.unit)
        config = self.config
        table = SweepTable(_adjust(rows), len(everywhere), left_out, config.level, config.metric, few_units=few)
        return replace(table, choice=self._choice(table, tables, everywhere, folds))

    def _choice(
        self, table: SweepTable, tables: Mapping[str, pd.DataFrame], everywhere: frozenset[str], folds: Folds
    ) -> ChoiceScores | None:
        """Score what each fold's own validation part calls the best."""
        winner = table.chosen
        scores = {row.name: row.validation_by_fold for row in table.rows if row.error is None}
        by_fold = None if winner is None else choose_by_fold(scores, range(len(folds.folds)))
        if winner is None or by_fold is None:
            return None
        key = (*by_fold.values(), everywhere)
        if key not in self._choices:
            tests = {fold: _part(_only(tables[name], everywhere), "test") for fold, name in by_fold.items()}
            chosen = pd.concat([test[test["fold"] == fold] for fold, test in tests.items()])
            sample = Sample.of(chosen, folds.classes)
            stopping = [
                _part(tables[name][tables[name]["fold"] == fold], "validation") for fold, name in by_fold.items()
            ]
            share = None
            if len(by_fold) > 1:  # how models that were chosen and trained on other slides differ
                share = training_share(sample, [Sample.of(rows, folds.classes) for rows in stopping])
            self._choices[key] = _plain(score(sample, self.config, seed=(self.seed,), share=share))
        test, metric = self._choices[key], table.metric
        own, chosen_score = winner.test[metric]["value"], test[metric]["value"]
        optimism = None if own is None or chosen_score is None else own - chosen_score
        return ChoiceScores(by_fold, test, optimism)

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
            own, other = (Sample.of(part, folds.classes) for part in (_part(table, "test"), first))
            metrics = paired_difference(own.repeats, other.repeats, level=self.config.level).metrics.items()
            difference = {name: {"difference": asdict(row.difference), "p_value": row.p_value} for name, row in metrics}
        return {
            "test": _plain(evaluation.out_of_fold),
            "holdout": {} if evaluation.holdout is None else _plain(evaluation.holdout),
            "difference": difference,
        }


def _plain(scores: Scores) -> dict[str, dict[str, float | None]]:
    return {name: asdict(scores.estimate(name)) for name in METRICS}


def _adjust(rows: Sequence[SweepRow]) -> tuple[SweepRow, ...]:
    """With the p-values of all rows beside each other, one in twenty is small by chance."""
    adjusted: list[dict[str, float | None]] = [{} for _ in rows]
    for name in METRICS:
        values = {
            number: row.difference[name]["p_value"]
            for number, row in enumerate(rows)
            if row.difference and row.difference[name]["p_value"] is not None
        }
        for number, value in holm(values).items():
            adjusted[number][name] = value
    return tuple(replace(row, adjusted=more) for row, more in zip(rows, adjusted, strict=True))


def _part(table: pd.DataFrame, name: str) -> pd.DataFrame:
    return table[(table["part"] == name) & table["label"].notna()]


def _only(table: pd.DataFrame, tests: frozenset[str]) -> pd.DataFrame:
    """The predictions without test slides that another variant lacks; hold-outs are compared by themselves."""
    return table[(table["part"] != "test") | table["slide"].isin(tests)]


def _flat(row: SweepRow, metric: PrimaryMetric) -> dict[str, Any]:
    flat: dict[str, Any] = {"variant": row.name, **row.factors, f"validation_{metric}": row.validation}
    for where, scores in (("test", row.test), ("holdout", row.holdout)):
        for name, estimate in scores.items():
            flat |= {f"{where}_{name}{end}": estimate[key] for end, key in _ENDS.items()}
    for name, comparison in row.difference.items():
        flat |= {f"difference_{name}{end}": comparison["difference"][key] for end, key in _ENDS.items()}
        flat |= {f"p_value_{name}": comparison["p_value"], f"p_value_{name}_holm": row.adjusted.get(name)}
    flat |= {"num_slides": row.num_slides, "seconds": row.seconds, "run": row.run, "same_as": ", ".join(row.also)}
    return flat | {"notes": " ".join(row.notes), "error": row.error or ""}


_ENDS = {"": "value", "_low": "low", "_high": "high"}


def _tested(folds: Folds) -> set[str]:
    return {name for fold in folds.folds for name in fold.test}
