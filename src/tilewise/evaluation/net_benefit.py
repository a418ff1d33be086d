"""Net benefit of acting on a probability, beside acting on every slide and on none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tilewise.evaluation.config import EvaluationConfig
from tilewise.evaluation.interval import Estimate, standard_error, student_quantile
from tilewise.evaluation.resample import Weights, draw_weights, weighted_sums
from tilewise.evaluation.sample import Floats, Integers, Sample

_ABSENCE = re.compile(r"(normal|benign|healthy|control|neg|negative|absent|none|no|non|not|0)(?![a-z])", re.IGNORECASE)
_THRESHOLDS = tuple(number / 20 for number in range(1, 20))


@dataclass(frozen=True)
class NetBenefitPoint:
    """Net benefits where slides are acted on from one probability on.

    Attributes:
        threshold: the least probability that is acted on. Whoever acts at 0.2 takes one slide of the class missed to be
            as bad as four slides acted on in vain.
        model: share of slides rightly acted on, less the share in vain times threshold / (1 - threshold).
        treat_all: of acting on every slide; that of acting on none is 0.
        gain: of the model over the better of these two.
    """

    threshold: float
    model: Estimate
    treat_all: float
    gain: Estimate


@dataclass(frozen=True)
class NetBenefit:
    """A decision curve (Vickers and Elkin 2006).

    Attributes:
        positive: the class whose slides are to be acted on: the rarer of the two, unless its name alone says that
            nothing is there, as `normal` or `Non-Tumour` does.
        share: of the slides that are of it.
        points: by threshold, the lowest first.
    """

    positive: str
    share: float
    points: tuple[NetBenefitPoint, ...]


def net_benefit(
    sample: Sample, probabilities_NC: Floats, config: EvaluationConfig, *, seed: tuple[int, ...]
) -> NetBenefit | None:
    """The decision curve of two classes; None where there are more, or all slides are of one.

    Intervals are over groups, and about these predictions: what training on other slides adds is not in them.

    Args:
        sample: labelled slides.
        probabilities_NC: calibrated by what was not fitted to them.
        config: level and number of resamples.
        seed: of the resamples.
    """
    counts_C = np.bincount(sample.truth_N, minlength=sample.num_classes)
    if sample.num_classes != 2 or not counts_C.all():
        return None
    positive = _acted_on(sample.classes, counts_C)
    is_positive_N = sample.truth_N == positive
    acted_NT = probabilities_NC[:, [positive]] >= np.array(_THRESHOLDS)
    odds_T = np.array(_THRESHOLDS) / (1.0 - np.array(_THRESHOLDS))
    worth_NT = np.where(is_positive_N[:, None], 1.0, -odds_T)  # of a slide that is acted on
    weights_RG = draw_weights(sample.num_groups, config.num_resamples, np.random.default_rng(seed))
    (model_T, resampled_RT), (all_T, all_RT) = (
        _means(sample, values_NT, weights_RG) for values_NT in (worth_NT * acted_NT, worth_NT)
    )
    default_RT = np.where(all_T > 0.0, all_RT, 0.0)
    points = [
        NetBenefitPoint(
            threshold=threshold,
            model=_interval(model_T[at], resampled_RT[:, at], sample, config.level),
            treat_all=float(all_T[at]),
            gain=_interval(
                model_T[at] - max(0.0, all_T[at]), resampled_RT[:, at] - default_RT[:, at], sample, config.level
            ),
        )
        for at, threshold in enumerate(_THRESHOLDS)
    ]
    return NetBenefit(sample.classes[positive], float(is_positive_N.mean()), tuple(points))


def _acted_on(classes: Sequence[str], counts_C: Integers) -> int:
    of_disease = [place for place, name in enumerate(classes) if not _ABSENCE.match(name)]
    return of_disease[0] if len(of_disease) == 1 else int(counts_C.argmin())


def _means(sample: Sample, values_NT: Floats, weights_RG: Weights) -> tuple[Floats, Floats]:
    """Means over slides, and those of resamples of the groups: float64 (T,) and (R, T)."""
    sums_GT = np.zeros((sample.num_groups, values_NT.shape[1]))
    np.add.at(sums_GT, sample.group_N, values_NT)
    num_G = np.bincount(sample.group_N, minlength=sample.num_groups)
    return values_NT.mean(0), weighted_sums(weights_RG, sums_GT) / weighted_sums(weights_RG, num_G)[:, None]


def _interval(value: float, resampled_R: Floats, sample: Sample, level: float) -> Estimate:
    """`value ± t * SE`; no ends where one group is all there is."""
    error = standard_error(resampled_R, sample.num_groups)
    if error is None:
        return Estimate(float(value), None, None)
    reach = student_quantile(level, sample.num_groups) * error
    return Estimate(float(value), float(value) - reach, float(value) + reach)
