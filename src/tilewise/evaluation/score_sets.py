"""Prediction sets and abstaining, scored out of fold."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tilewise.calibration.prediction_sets import COVERAGE, least_slides
from tilewise.evaluation.calibration_results import AbstentionPoint, SetCoverage, SetScores
from tilewise.evaluation.config import EvaluationConfig
from tilewise.evaluation.interval import UNDEFINED, Estimate, exact_limit, score_interval
from tilewise.evaluation.resample import Weights, draw_weights, of_confusion, weigh, weighted_sums
from tilewise.evaluation.sample import Floats, Sample
from tilewise.wording import count

Booleans = npt.NDArray[np.bool_]

_SHARES = tuple(number / 10 for number in range(10))


def score_sets(
    sample: Sample,
    sets_NC: Booleans,
    overall_sets_NC: Booleans,
    config: EvaluationConfig,
    *,
    seed: tuple[int, ...],
) -> SetScores:
    """Coverage and size of sets that were made without these slides.

    Args:
        sample: labelled slides.
        sets_NC: per class, see `SetThresholds`.
        overall_sets_NC: with one threshold for all classes.
        config: level and number of resamples.
        seed: of the resamples.
    """
    weights_RG = draw_weights(sample.num_groups, config.num_resamples, np.random.default_rng(seed))
    notes = []
    if sample.unit == "group":
        notes.append("Slides of one group are alike: the share is of slides of new groups, and may miss all of one.")
    for index, name in enumerate(sample.classes):
        num, least = int((sample.truth_N == index).sum()), least_slides()
        if num <= least:
            notes.append(
                f"Class {name} has {count(num, 'slide')}, and a class needs {least} in the other folds to be left out "
                "of any set: it stands in most or all of them."
            )
    return SetScores(
        target=COVERAGE,
        by_class=_coverage(sample, sets_NC, weights_RG, config.level),
        overall=_coverage(sample, overall_sets_NC, weights_RG, config.level),
        notes=tuple(notes),
    )


def abstention_curve(
    sample: Sample, probabilities_NC: Floats, config: EvaluationConfig, *, seed: tuple[int, ...]
) -> tuple[AbstentionPoint, ...]:
    """Scores of the more confident slides, for shares of slides without an answer from 0 to 0.9.

    Args:
        sample: labelled slides.
        probabilities_NC: calibrated where they can be; that of the predicted class is the confidence.
        config: level and number of resamples.
        seed: of the resamples.
    """
    weights_RG = draw_weights(sample.num_groups, config.num_resamples, np.random.default_rng(seed))
    confidence_N = probabilities_NC[np.arange(sample.num_slides), sample.predicted_N]
    order_N = np.argsort(-confidence_N, kind="stable")
    points: dict[int, AbstentionPoint] = {}
    for share in _SHARES:
        num = max(1, round(sample.num_slides * (1.0 - share)))
        answered_N = np.zeros(sample.num_slides, bool)
        answered_N[order_N[:num]] = True
        points[num] = AbstentionPoint(
            abstained=1.0 - num / sample.num_slides,
            confidence=float(confidence_N[order_N[num - 1]]),
            accuracy=_share(sample, sample.truth_N == sample.predicted_N, answered_N, weights_RG, config.level),
            macro_f1=_macro_f1(sample, answered_N, weights_RG, config.level),
        )
    return tuple(points.values())


def _coverage(sample: Sample, sets_NC: Booleans, weights_RG: Weights, level: float) -> SetCoverage:
    all_N = np.ones(sample.num_slides, bool)
    holds_N, single_N = sets_NC[np.arange(sample.num_slides), sample.truth_N], sets_NC.sum(axis=1) == 1
    return SetCoverage(
        coverage=_share(sample, holds_N, all_N, weights_RG, level),
        class_coverage={
            name: _share(sample, holds_N, sample.truth_N == index, weights_RG, level)
            for index, name in enumerate(sample.classes)
        },
        mean_size=float(sets_NC.sum(axis=1).mean()),
        single=float(single_N.mean()),
        single_right=_share(sample, holds_N, single_N, weights_RG, level),
    )


def _share(sample: Sample, right_N: Booleans, among_N: Booleans, weights_RG: Weights, level: float) -> Estimate:
    """Share of slides that are right, among some; not defined where these are none."""
    if not among_N.any():
        return UNDEFINED
    num_G = np.bincount(sample.group_N, among_N, sample.num_groups)
    right_G = np.bincount(sample.group_N, right_N & among_N, sample.num_groups)
    num_R = weighted_sums(weights_RG, num_G)
    share_R = np.divide(weighted_sums(weights_RG, right_G), num_R, out=np.full(len(num_R), np.nan), where=num_R > 0)
    units = sample.units_with(among_N)
    value = float(right_G.sum() / num_G.sum())
    return score_interval(value, share_R, num_units=units, level=level, limit=exact_limit(units, level))


def _macro_f1(sample: Sample, among_N: Booleans, weights_RG: Weights, level: float) -> Estimate:
    counts_GCC = np.zeros((sample.num_groups, sample.num_classes, sample.num_classes), np.int64)
    np.add.at(counts_GCC, (sample.group_N[among_N], sample.truth_N[among_N], sample.predicted_N[among_N]), 1)
    point = of_confusion(counts_GCC.sum(0, keepdims=True))
    resampled_R = of_confusion(weigh(counts_GCC, weights_RG)).whole["macro_f1"]
    units = sample.units_with(among_N)
    value = float(point.whole["macro_f1"][0])
    return score_interval(value, resampled_R, num_units=units, level=level, limit=exact_limit(units, level))
