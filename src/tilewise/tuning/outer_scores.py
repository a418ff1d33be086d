"""The winner on its validation parts, by which it was chosen, and on outer slides, which the search never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from tilewise.evaluation.config import EvaluationConfig
from tilewise.evaluation.interval import UNDEFINED, Estimate, exact_limit, score_interval
from tilewise.evaluation.resample import draw_weights, statistics
from tilewise.evaluation.sample import Sample

_STREAM = 71  # of random numbers


@dataclass(frozen=True)
class OuterScores:
    """Scores of one recipe inside the search and outside it.

    Attributes:
        validation: mean over folds of the metric on their validation parts, which the search goes by.
        outer: mean over the same models of the metric on the outer slides.
        optimism: validation - outer.
        deployed: the metric of the classifier that is deployed, all models together, on the outer slides.
    """

    validation: Estimate
    outer: Estimate
    optimism: Estimate
    deployed: Estimate


@dataclass(frozen=True)
class _MeanScore:
    """A mean of scores: of the very slides, and of resamples of their groups."""

    value: float
    resampled_R: npt.NDArray[np.float64]
    num_groups: int

    def estimate(self, level: float) -> Estimate:
        limit = exact_limit(self.num_groups, level)
        return score_interval(self.value, self.resampled_R, num_units=self.num_groups, level=level, limit=limit)


def outer_scores(
    validation: Sequence[pd.DataFrame],
    outer: Sequence[pd.DataFrame],
    deployed: Estimate,
    classes: Sequence[str],
    config: EvaluationConfig,
    *,
    seed: int,
) -> OuterScores:
    """Score the models of the folds on both; slides of one group are resampled together.

    Args:
        validation: predictions of each fold's validation part by its own model.
        outer: predictions of the outer slides by each fold's model.
        deployed: score of the deployed classifier.
        classes: in the order of the probability columns.
        config: metric, level and number of resamples.
        seed: of the resamples.
    """
    inside = _mean_score(validation, classes, config, (seed, _STREAM, 0))
    outside = _mean_score(outer, classes, config, (seed, _STREAM, 1))
    own, other = inside.estimate(config.level), outside.estimate(config.level)
    return OuterScores(own, other, _difference(own, other), deployed)


def _difference(one: Estimate, other: Estimate) -> Estimate:
    """The difference of two scores of unrelated slides, its interval from theirs (Zou and Donner 2008)."""
    if None in (*one, *other):
        return UNDEFINED
    (a, low_a, high_a), (b, low_b, high_b) = (np.array(list(estimate), np.float64) for estimate in (one, other))
    value = float(a - b)
    return Estimate(
        value, value - float(np.hypot(a - low_a, high_b - b)), value + float(np.hypot(high_a - a, b - low_b))
    )


def _mean_score(
    tables: Sequence[pd.DataFrame], classes: Sequence[str], config: EvaluationConfig, seed: tuple[int, ...]
) -> _MeanScore:
    keys = [
        {str(slide): str(slide) if pd.isna(group) else f"group {group}" for slide, group in zip(*columns, strict=True)}
        for columns in ((table["slide"], table["group"]) for table in tables)
    ]
    groups = {key: index for index, key in enumerate(sorted({key for one in keys for key in one.values()}))}
    weights_RG = draw_weights(len(groups), config.num_resamples, np.random.default_rng(seed))
    weights_RG = np.vstack([np.ones((1, len(groups)), weights_RG.dtype), weights_RG])
    scores_FR = []
    for table, key_of in zip(tables, keys, strict=True):
        sample = Sample.of(table, classes)
        own_G = np.empty(sample.num_groups, np.int64)
        own_G[sample.group_N] = [groups[key_of[slide]] for slide in sample.slides]
        scores_FR.append(statistics(sample, weights_RG[:, own_G]).whole[config.metric])
    defined_FR = ~np.isnan(scores_FR)
    count_R = defined_FR.sum(axis=0)
    total_R = np.nansum(scores_FR, axis=0)
    mean_R = np.divide(total_R, count_R, out=np.full(len(total_R), np.nan), where=count_R > 0)
    return _MeanScore(float(mean_R[0]), mean_R[1:], len(groups))
