"""Scores as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tilewise.metrics import METRIC_NAMES
from tilewise.reporting.headline import describe_right, describe_weakest
from tilewise.wording import count

if TYPE_CHECKING:
    from tilewise.evaluation.evaluation import Evaluation
    from tilewise.evaluation.interval import Estimate
    from tilewise.evaluation.results import Scores
    from tilewise.ladder.choice import LadderChoice

_SHOWN_LOSSES = 5


def score_lines(evaluation: Evaluation, *, details: bool = False) -> Iterator[str]:
    """The recipe's metric with its interval and the baselines; with `details` every metric, part, class and loss."""
    primary = evaluation.metric
    plain = evaluation.to_json()
    for title, part, scores in (
        ("out of fold", "out_of_fold", evaluation.out_of_fold),
        ("holdout", "holdout", evaluation.holdout),
    ):
        if scores is None:
            continue
        yield f"{title}: {count(scores.num_slides, 'slide')} in {count(scores.num_groups, 'group')}"
        yield f"  {scores.interval.level:.0%} intervals of {scores.interval.words}"
        for metric in dict.fromkeys([primary, *METRIC_NAMES]) if details else [primary]:
            yield f"  {metric:<18} {_interval(scores.estimate(metric))}"
        for guesser, baseline, detail in (
            ("commonest class", scores.baselines.commonest, ", of the training slides"),
            ("guessing at random", scores.baselines.random, ""),
        ):
            yield f"  {guesser:<18} {_interval(baseline.estimate(primary))}  ({primary}{detail})"
        if details:
            yield from _class_lines(scores)
            yield from _probability_lines(evaluation, part)
        yield f"  {describe_right(plain[part])} {describe_weakest(plain[part])}".rstrip()
        for note in scores.notes:
            # What is said of a metric that is not shown would only crowd out the rest.
            if details or not note.startswith("AUROC"):
                yield f"  note: {note}"
    yield from _further_lines(evaluation, details=details)
    if details:
        yield f"highest loss (of {len(evaluation.highest_losses)} in evaluation.json)"
        for loss in evaluation.highest_losses[:_SHOWN_LOSSES]:
            yield f"  {_number(loss.log_loss)}  {loss.slide}: {loss.label}, predicted {loss.predicted}"


def ladder_lines(choices: Sequence[LadderChoice]) -> Iterator[str]:
    """What each fold chose: every rung, its gain with interval, and whether it was climbed."""
    for number, choice in enumerate(choices):
        yield f"fold {number}: {choice.chosen}, chosen by {choice.metric} over inner folds"
        for rung in choice.rungs:
            yield f"  {rung}"


def _further_lines(evaluation: Evaluation, *, details: bool) -> Iterator[str]:
    """Other labels, other units, and the mean over folds."""
    primary = evaluation.metric
    if evaluation.original_labels is not None:
        yield f"on the table's own labels: {primary} {_interval(evaluation.original_labels.estimate(primary))}"
    if evaluation.by_group is not None:
        groups = count(evaluation.by_group.num_slides, "group")
        yield f"group by group ({groups}): {primary} {_interval(evaluation.by_group.estimate(primary))}"
    for row in evaluation.subgroups if details else ():
        yield f"  {row.column} {row.value}: {count(row.num_slides, 'slide')}, {primary} {_interval(row.score)}"
    mean = evaluation.fold_mean[primary]
    if mean.num_folds > 1:
        yield f"mean of {count(mean.num_folds, 'fold')}: {primary} {_number(mean.mean)} sd {_number(mean.std)}"


def _class_lines(scores: Scores) -> Iterator[str]:
    yield f"  {'class':<22} {'precision':>9} {'recall':>9} {'f1':>9} {'slides':>7} {'log loss':>9}"
    for label, row in scores.per_class.items():
        values = " ".join(f"{_number(estimate.value):>9}" for estimate in (row.precision, row.recall, row.f1))
        yield f"  {label:<22} {values} {row.support:>7} {_number(row.log_loss):>9}"


def _probability_lines(evaluation: Evaluation, part: str) -> Iterator[str]:
    """Calibration error and Brier score, coverage of sets."""
    if calibration := evaluation.calibration.get(part):
        rows = {"scores": calibration.scores} | (
            {} if calibration.calibrated is None else {"calibrated": calibration.calibrated}
        )
        yield f"  {'probabilities':<22} {'ECE':<22} {'by chance':<22} Brier"
        for name, row in rows.items():
            yield f"  {name:<22} {_interval(row.ece)} {_interval(row.chance_ece)} {_interval(row.brier)}"
    if sets := evaluation.sets.get(part):
        yield (
            f"  sets for {sets.target:.0%} of each class: hold the class for {_interval(sets.by_class.coverage)}, "
            f"{sets.by_class.mean_size:.1f} classes on average"
        )


def _interval(estimate: Estimate) -> str:
    return f"{_number(estimate.value)}  [{_number(estimate.low)}, {_number(estimate.high)}]"


def _number(value: float | None) -> str:
    return "  - " if value is None else f"{value:.2f}"  # as on pages; intervals are a tenth wide
