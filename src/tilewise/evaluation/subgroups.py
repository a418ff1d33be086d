"""Scores of parts of the cohort: of slides that share a value of a column, and of whole groups such as patients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tilewise.evaluation.config import EvaluationConfig
from tilewise.evaluation.influence import unseen_widening
from tilewise.evaluation.interval import Estimate, exact_limit, score_interval
from tilewise.evaluation.resample import draw_weights, statistics
from tilewise.evaluation.sample import REPEAT, Sample

if TYPE_CHECKING:
    import pandas as pd

_PREFIX = "p_"


@dataclass(frozen=True)
class Subgroup:
    """Out-of-fold scores of the slides that share a value of a column of the cohort's table.

    Attributes:
        column: of the table.
        value: of the column.
        num_slides: that have it.
        num_groups: that these slides make up.
        score: the recipe's metric, over the classes that occur among them.
        accuracy: share that is predicted right.
    """

    column: str
    value: str
    num_slides: int
    num_groups: int
    score: Estimate
    accuracy: Estimate


def score_subgroups(
    tests: pd.DataFrame,
    classes: tuple[str, ...],
    columns: Mapping[str, Mapping[str, str]],
    config: EvaluationConfig,
    *,
    seed: int,
    training_share: Mapping[str, float],
) -> tuple[Subgroup, ...]:
    """Score each value of each column.

    Intervals answer the question that those of all slides answer. How much training adds is taken from all slides: a
    subgroup has too few to tell.

    Args:
        tests: rows of the test parts, as `evaluate` takes them.
        classes: every class.
        columns: column -> slide -> value.
        config: metric, level and number of resamples.
        seed: of the resamples.
        training_share: metric -> what training adds to the variance of the score of all slides.
    """
    rows = []
    for number, (column, values) in enumerate(columns.items()):
        of_slides = tests["slide"].astype(str).map(values)
        for place, value in enumerate(dict.fromkeys(values.values())):
            sample = Sample.of(tests[of_slides == value], classes)
            if sample.num_slides:
                score, accuracy = _scores(sample, config, (seed, number, place), training_share)
                rows.append(Subgroup(column, value, sample.num_slides, sample.num_groups, score, accuracy))
    return tuple(rows)


def by_group(table: pd.DataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
    """One row for each group (and repeat) of predictions, in place of its slides: the mean of their probabilities.

    Groups whose slides carry several labels are left out; a slide without a group is a group of its own.
    """
    names = [_PREFIX + name for name in classes]
    rows = table[table["label"].notna()]
    rows = rows.assign(slide=rows["group"].where(rows["group"].notna(), rows["slide"]).astype(str))
    keys = ["slide", REPEAT] if REPEAT in rows else ["slide"]
    groups = rows.groupby(keys, sort=True)
    whole = groups[names].mean()
    whole["predicted"] = np.array(classes, dtype=object)[whole.to_numpy().argmax(axis=1)]
    for column in ("label", "fold", "part"):
        whole[column] = groups[column].first()
    whole = whole[groups["label"].nunique() == 1].reset_index()
    return whole.assign(group=whole["slide"])


def _scores(
    sample: Sample, config: EvaluationConfig, seed: tuple[int, ...], training_share: Mapping[str, float]
) -> tuple[Estimate, Estimate]:
    weights_RG = draw_weights(sample.num_groups, config.num_resamples, np.random.default_rng(seed))
    point, resampled = statistics(sample, np.ones((1, sample.num_groups))).whole, statistics(sample, weights_RG).whole
    limit, unseen = exact_limit(sample.num_groups, config.level), unseen_widening(sample)
    estimates = [
        score_interval(
            float(point[metric][0]),
            resampled[metric],
            num_units=sample.num_groups,
            level=config.level,
            limit=limit,
            widening=unseen[metric] * (1.0 + training_share.get(metric, 0.0)),
        )
        for metric in (config.metric, "accuracy")
    ]
    return estimates[0], estimates[1]
