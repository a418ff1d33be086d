"""All scores of one set of slides."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tilewise.evaluation import guessing
from tilewise.evaluation.config import EvaluationConfig
from tilewise.evaluation.influence import unseen_widening
from tilewise.evaluation.interval import Estimate, exact_limit, score_interval
from tilewise.evaluation.resample import CLASS_METRICS, METRICS, Statistics, draw_weights, statistics
from tilewise.evaluation.results import Baselines, ClassScores, ConfusionMatrix, IntervalMethod, Scores, few_units
from tilewise.evaluation.sample import Sample
from tilewise.evaluation.training_share import TrainingShare
from tilewise.metrics import log_loss

_FEW_OF_CLASS = 5
METHOD = "bootstrap standard error, Student t on the logit scale; Clopper-Pearson limit at 0 and 1"

_NOT_MEASURED = (
    "No slide is in a test and in a validation part of models that learnt from different slides, so that nothing tells "
    "how much they depend on what they learnt from: intervals are as wide as they would be of a classifier of noise."
)


def score(
    sample: Sample,
    config: EvaluationConfig,
    *,
    seed: tuple[int, ...],
    training_counts: Mapping[int, guessing.ClassCounts] | None = None,
    share: TrainingShare | None = None,
) -> Scores:
    """Score a sample: every metric with its interval, per class, log loss, confusion, beside guessing.

    Whole groups are resampled, so slides of one group count as the related slides they are. `seed` makes the resamples.
    Of repeated cross-validation each score is the mean over repeats, and a group is drawn with all its rows.
    Without `share` the intervals are about the models that predicted; with it, about training on other slides too.
    """
    rng = np.random.default_rng(seed)
    weights_RG = draw_weights(sample.num_groups, config.num_resamples, rng)
    point = statistics(sample, np.ones((1, sample.num_groups)))
    resampled = statistics(sample, weights_RG)
    unseen = unseen_widening(sample)
    added = {name: share.added(name, resampled.whole[name]) if share else 0.0 for name in METRICS}
    whole = {
        name: score_interval(
            float(point.whole[name][0]),
            resampled.whole[name],
            num_units=sample.num_groups,
            level=config.level,
            limit=_limit(sample, name, config.level),
            widening=unseen[name] * (1.0 + added[name]),
        )
        for name in METRICS
    }
    guess_N = guessing.commonest_predictions(sample, training_counts)
    counts = tuple(map(tuple, sample.confusion_by_group.sum(0).tolist()))
    return Scores(
        **whole,
        log_loss=log_loss(sample.truth_N, sample.probabilities_NC),
        per_class=_per_class(sample, point, resampled, config.level, share),
        confusion=ConfusionMatrix(tuple(sample.classes), counts),
        baselines=Baselines(
            commonest=guessing.commonest(sample, guess_N, weights_RG, level=config.level),
            random=guessing.uniform(sample, config.num_resamples, level=config.level),
        ),
        num_slides=sample.num_slides,
        num_groups=sample.num_groups,
        interval=IntervalMethod(
            config.level,
            METHOD if share is None else f"{METHOD}; widened for training on other slides",
            config.num_resamples,
            sample.unit,
            question="models" if share is None else "recipe",
            training_share={} if share is None else added,
        ),
        notes=(*_notes(sample, whole), *(() if share is None or share.is_measured else (_NOT_MEASURED,))),
    )


def _per_class(
    sample: Sample, point: Statistics, resampled: Statistics, level: float, share: TrainingShare | None
) -> dict[str, ClassScores]:
    table: dict[str, ClassScores] = {}
    for index, name in enumerate(sample.classes):
        # A class's figure rests on its own units: three slides of a class are three, however many others there are.
        own, others = sample.units_with(sample.truth_N == index), sample.units_with(sample.truth_N != index)
        fewer = min(own, others)
        num_units = {
            "precision": sample.units_with(sample.predicted_N == index),
            "recall": own,
            "f1": own,
            # An AUROC varies by the units of both sides.
            "auroc": (own + others) // 2 if fewer > 1 else fewer,
        }
        # A perfect one is no surer than the side of fewer units makes it.
        limiting = num_units | {"auroc": fewer}
        estimates = {
            metric: score_interval(
                float(point.by_class[metric][0, index]),
                resampled.by_class[metric][:, index],
                num_units=num_units[metric],
                level=level,
                limit=exact_limit(limiting[metric], level),
                widening=1.0
                + (share.added_to_class(metric, index, resampled.by_class[metric][:, index]) if share else 0.0),
            )
            for metric in CLASS_METRICS
        }
        own_N = sample.truth_N == index
        loss = log_loss(sample.truth_N[own_N], sample.probabilities_NC[own_N]) if own_N.any() else None
        table[name] = ClassScores(**estimates, support=int(own_N.sum()) // len(sample.repeats), log_loss=loss)
    return table


def _limit(sample: Sample, metric: str, level: float) -> float:
    """How low the true score may lie when all is right, as far as these units can tell.

    Errors may be spread over all units, or lie in the rarest class, where they would show last: the lower of the two
    counts for a mean over classes.
    """
    present = np.unique(sample.truth_N)
    if metric == "auroc_macro":
        units_of = {int(index): _auroc_units(sample, int(index)) for index in present}
        all_units = max(1, sample.num_groups // 2)  # one unit of each side makes a pair
    else:
        units_of = {int(index): sample.units_with(sample.truth_N == index) for index in present}
        all_units = sample.num_groups
    spread = exact_limit(all_units, level)
    if metric == "accuracy" or metric.startswith("weighted_"):
        return spread
    in_rarest = 1.0 - (1.0 - exact_limit(min(units_of.values()), level)) / len(units_of)
    return min(spread, in_rarest)


def _auroc_units(sample: Sample, index: int) -> int:
    """Pairs of a unit of the class and one of the others that share no unit."""
    own = sample.truth_N == index
    return min(sample.units_with(own), sample.units_with(~own))


def _notes(sample: Sample, whole: Mapping[str, Estimate]) -> list[str]:
    notes = []
    if (num_repeats := len(sample.repeats)) > 1:
        notes.append(
            f"Folds were cut {num_repeats} times, and each slide is tested in every repeat by a model that did "
            "not learn from it. Scores are means over repeats; the confusion matrix counts each slide once in each."
        )
    if sample.num_groups == 1:
        notes.append("All slides are of one group, which says nothing about other groups: intervals are 0 to 1.")
    elif few := few_units(sample.num_groups, sample.unit):
        notes.append(few)
    for index, name in enumerate(sample.classes):
        own_N = sample.truth_N == index
        num_slides, num_units = int(own_N.sum()) // len(sample.repeats), sample.units_with(own_N)
        if num_slides == 0:
            notes.append(f"No slide of class {name}: its recall and AUROC are not known, and averages pass over it.")
        elif num_units < _FEW_OF_CLASS:
            of_groups = f" of {_count(num_units, 'group')}" if sample.unit == "group" else ""
            notes.append(f"Class {name} has {_count(num_slides, 'slide')}{of_groups}: its figures rest on these alone.")
    if any(whole[name].value in {0.0, 1.0} for name in METRICS):
        notes.append(
            "A score of 0 or 1 does not vary between resamples: its interval ends at the Clopper-Pearson limit."
        )
    return notes


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
