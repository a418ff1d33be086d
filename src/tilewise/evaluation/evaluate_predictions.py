"""Predictions in, evaluation out."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tilewise.auditing.table import TableFacts
from tilewise.calibration.calibration import Calibration, cross_fit
from tilewise.errors import ArtifactError
from tilewise.evaluation.calibration_results import AbstentionPoint, CalibrationScores, SetScores
from tilewise.evaluation.config import EvaluationConfig
from tilewise.evaluation.evaluation import Evaluation
from tilewise.evaluation.guessing import ClassCounts
from tilewise.evaluation.losses import highest_losses
from tilewise.evaluation.net_benefit import NetBenefit, net_benefit
from tilewise.evaluation.resample import METRICS
from tilewise.evaluation.results import FoldMean, Scores
from tilewise.evaluation.sample import Sample
from tilewise.evaluation.score_calibration import score_calibration
from tilewise.evaluation.score_sets import abstention_curve, score_sets
from tilewise.evaluation.scores import score
from tilewise.evaluation.subgroups import by_group, score_subgroups
from tilewise.evaluation.training_share import training_share
from tilewise.folds import Folds

if TYPE_CHECKING:
    import pandas as pd

_LEAST_OF_ONE_LABEL = 0.9  # share of groups; where more have several labels, a label is not of a group
OUTSIDE = -1  # the fold number of predictions made outside the folds
# First number of a seed: no two sets of slides use the same random numbers.
_OUT_OF_FOLD, _HOLDOUT, _FOLD, _CALIBRATION = range(4)


def evaluate_predictions(
    table: pd.DataFrame,
    folds: Folds,
    config: EvaluationConfig,
    *,
    classes: Sequence[str],
    seed: int,
    facts: TableFacts | None = None,
    out: Path | None = None,
) -> Evaluation:
    """Score the predictions of a run and, with `out`, write the evaluation there; otherwise as `evaluate`.

    `facts` are the table's: where decisions changed labels, the out-of-fold predictions are scored on the table's own
    as well, and for each value of a further column.
    """
    facts = facts or TableFacts()
    counts = count_training(folds)
    evaluation = evaluate(table, classes, config, seed=seed, training_counts=counts)
    tests = table[(table["part"] == "test") & table["label"].notna()]
    share = evaluation.out_of_fold.interval.training_share
    subgroups = score_subgroups(tests, tuple(classes), facts.columns, config, seed=seed, training_share=share)
    evaluation = replace(evaluation, subgroups=subgroups)
    if facts.relabelled:
        before = table.assign(label=table["slide"].map(facts.relabelled).fillna(table["label"]))
        before = before[before["label"].isin(classes)]
        sample = Sample.of(before[before["part"] == "test"], classes)
        scores = _out_of_fold(sample, _stopping(before, classes), config, seed=seed, training_counts=counts)
        evaluation = replace(evaluation, original_labels=scores)
    if out is not None:
        evaluation.write(out)
    return evaluation


def evaluate(
    table: pd.DataFrame,
    classes: Sequence[str],
    config: EvaluationConfig,
    *,
    seed: int,
    training_counts: Mapping[int, ClassCounts] | None = None,
) -> Evaluation:
    """Score predictions: out of fold, fold by fold, and on the hold-out where there is one.

    Intervals out of fold are about the recipe: what folds' models reach on average on new slides when it is trained on
    another cohort of this size. Those of a single fold and of the hold-out are about the models at hand.

    Args:
        table: one row per slide and fold: slide, label, group (may be missing), fold (-1 outside the folds), part, a
            column p_<class> per class, predicted; of repeated folds also repeat, and scores are means over repeats.
            Rows of the part `validation`, or repeats, tell how much models depend on what they learnt from; rows of
            other parts, and rows without a label, are passed over.
        classes: every class, in the order of the confusion matrices.
        config: metric, level and number of resamples.
        seed: of the resamples; the same seed gives the same numbers.
        training_counts: slides per class each fold learnt from, by fold number; -1 for the hold-out's classifier.
            Every fold of the table must be there. Without it the guesser of the commonest class looks at the answers.

    Raises:
        ArtifactError: no labelled test slide, or a row at fault; names the slide.
    """
    tests = table[(table["part"] == "test") & table["label"].notna()]
    sample = Sample.of(tests, classes)
    if not sample.num_slides:
        raise ArtifactError("the predictions hold no labelled slide of a test part; run `tilewise train` again")
    parts = [Sample.of(tests[tests["fold"] == number], classes) for number in sorted(tests["fold"].unique())]
    per_fold = [
        score(part, config, seed=(seed, _FOLD, number), training_counts=training_counts)
        for number, part in enumerate(parts)
    ]
    stopping = _stopping(table, classes)
    out_of_fold = _out_of_fold(sample, stopping, config, seed=seed, training_counts=training_counts)
    by_group_scores = None
    if sample.unit == "group":
        groups = Sample.of(by_group(tests, tuple(classes)), classes)
        if groups.num_slides >= _LEAST_OF_ONE_LABEL * sample.num_groups:
            stopping = _stopping(table, classes, whole_groups=True)
            by_group_scores = _out_of_fold(groups, stopping, config, seed=seed, training_counts=training_counts)
    if len(per_fold) > 1:
        note = (
            f"AUROC compares slides that one model predicted, pooled over {len(per_fold)} models; the mean over folds "
            "gives each fold the same weight."
        )
        out_of_fold = replace(out_of_fold, notes=(*out_of_fold.notes, note))
    outside = Sample.of(table[table["part"] == "holdout"], classes)
    holdout = None
    if outside.num_slides:
        holdout = score(outside, config, seed=(seed, _HOLDOUT), training_counts=training_counts)
    calibrated = _calibrated(sample.mean, outside, config, seed)
    return Evaluation(
        classes=tuple(classes),
        out_of_fold=out_of_fold,
        folds=tuple(per_fold),
        fold_mean=_fold_mean(per_fold),
        holdout=holdout,
        metric=config.metric,
        highest_losses=highest_losses([sample.mean, outside]),
        calibration=calibrated.scores,
        sets=calibrated.sets,
        abstention=calibrated.abstention,
        net_benefit=calibrated.net_benefit,
        by_group=by_group_scores,
    )


@dataclass(frozen=True)
class _Calibrated:
    scores: dict[str, CalibrationScores]
    sets: dict[str, SetScores]
    abstention: tuple[AbstentionPoint, ...]
    net_benefit: dict[str, NetBenefit]


def _calibrated(sample: Sample, outside: Sample, config: EvaluationConfig, seed: int) -> _Calibrated:
    """Probabilities, sets, abstaining and net benefit: out of fold cross-fitted, on the hold-out as deployed.

    Of repeated folds these are of the mean over a slide's models that did not know it, cross-fitted by the folds of the
    first repeat: no row of a slide or its group has a part in what it is calibrated by.
    """
    truth_N, fold_N, group_N = sample.truth_N, sample.fold_N, sample.group_N
    fitted = cross_fit(sample.probabilities_NC, truth_N, fold_N, group_N)
    calibrated_NC, seeds = fitted.calibrated_NC, (seed, _CALIBRATION)
    scores = {"out_of_fold": score_calibration(sample, calibrated_NC, config, seed=seeds)}
    sets = {}
    if fitted.sets_NC is not None and fitted.overall_sets_NC is not None:
        sets["out_of_fold"] = score_sets(sample, fitted.sets_NC, fitted.overall_sets_NC, config, seed=seeds)
    confidences_NC = sample.probabilities_NC if calibrated_NC is None else calibrated_NC
    curve = abstention_curve(sample, confidences_NC, config, seed=seeds)
    benefit = {}
    if calibrated_NC is not None:
        benefit["out_of_fold"] = net_benefit(sample, calibrated_NC, config, seed=seeds)
    if outside.num_slides:
        deployed = Calibration.fit(sample.probabilities_NC, truth_N)
        own_NC = outside.probabilities_NC
        scaled_NC = None if deployed.scaling is None else deployed.scaling.apply(own_NC)
        scores["holdout"] = score_calibration(outside, scaled_NC, config, seed=(seed, _CALIBRATION, _HOLDOUT))
        if scaled_NC is not None:
            benefit["holdout"] = net_benefit(outside, scaled_NC, config, seed=(seed, _CALIBRATION, _HOLDOUT))
        sets_NC, overall_NC = (deployed.thresholds.sets(own_NC, by_class=by_class) for by_class in (True, False))
        sets["holdout"] = score_sets(outside, sets_NC, overall_NC, config, seed=(seed, _CALIBRATION, _HOLDOUT))
    return _Calibrated(scores, sets, curve, {part: one for part, one in benefit.items() if one is not None})


def count_training(folds: Folds) -> dict[int, dict[str, int]]:
    """Slides per class in the train part of each fold, and under -1 in the train parts of all folds together."""
    label_of = {item.slide_id: str(item.label) for item in folds.items}
    counts = {number: dict(Counter(label_of[name] for name in fold.train)) for number, fold in enumerate(folds.folds)}
    known = sorted({name for fold in folds.folds for name in fold.train})
    return counts | {OUTSIDE: dict(Counter(label_of[name] for name in known))}


def _out_of_fold(
    sample: Sample,
    stopping: Sequence[Sample],
    config: EvaluationConfig,
    *,
    seed: int,
    training_counts: Mapping[int, ClassCounts] | None,
) -> Scores:
    """Scores of the test parts together; of several folds, with what the validation parts tell of their training."""
    share = training_share(sample, stopping) if np.unique(sample.fold_N).size > 1 else None
    return score(sample, config, seed=(seed, _OUT_OF_FOLD), training_counts=training_counts, share=share)


def _stopping(table: pd.DataFrame, classes: Sequence[str], *, whole_groups: bool = False) -> list[Sample]:
    """The validation part of each fold, as its model predicts it; with `whole_groups` one row for each group."""
    rows = table[(table["part"] == "validation") & table["label"].notna()]
    parts = [by_group(part, tuple(classes)) if whole_groups else part for _, part in rows.groupby("fold")]
    return [Sample.of(part, classes) for part in parts]


def _fold_mean(per_fold: Sequence[Scores]) -> dict[str, FoldMean]:
    """Mean and sample standard deviation over the folds in which a metric is defined."""
    means = {}
    for name in METRICS:
        values = [value for scores in per_fold if (value := scores.estimate(name).value) is not None]
        means[name] = FoldMean(
            mean=statistics.fmean(values) if values else None,
            std=statistics.stdev(values) if len(values) > 1 else None,
            num_folds=len(values),
        )
    return means
