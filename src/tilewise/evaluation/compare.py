"""Two classifiers on the same slides: which is better, and how sure is that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewise.errors import UsageError
from tilewise.evaluation.config import EvaluationConfig
from tilewise.evaluation.interval import difference_interval
from tilewise.evaluation.resample import METRICS, Statistics, class_auroc, draw_weights, of_confusion, statistics, weigh
from tilewise.evaluation.sample import Floats, Sample

if TYPE_CHECKING:
    import pandas as pd


def paired_difference(
    table_a: pd.DataFrame, table_b: pd.DataFrame, classes: Sequence[str], config: EvaluationConfig, *, seed: int
) -> dict[str, Any]:
    """How much better A scores than B, metric by metric, over the same slides.

    Both are scored on the same resamples of groups, so that what is hard for both cancels out. The p-value is that of
    a permutation test which exchanges the predictions of A and B group by group.

    Args:
        table_a: predictions of one part (columns as in `evaluate`), one row per slide.
        table_b: the other predictions of the same slides, in any order.
        classes: every class, the same in both.
        config: level and number of resamples.
        seed: of resamples and exchanges.

    Returns:
        Plain data: `num_slides`, `num_groups`, `unit`, `level`, `resamples`, and `metrics`: for each metric `a`, `b`,
        `difference` (value, low, high), `probability_a_better` (share of resamples, ties half) and `p_value`
        (two-sided; None where the metric is not defined).

    Raises:
        UsageError: the slides, labels or groups differ; names one that does.
        ArtifactError: a table is at fault; names the slide.
    """
    sample_a, sample_b = Sample.of(table_a, classes), Sample.of(table_b, classes)
    _check_same(sample_a, sample_b)
    rng = np.random.default_rng(seed)
    ones = np.ones((1, sample_a.num_groups))
    point_a, point_b = statistics(sample_a, ones), statistics(sample_b, ones)
    weights_RG = draw_weights(sample_a.num_groups, config.num_resamples, rng)
    resampled_a, resampled_b = statistics(sample_a, weights_RG), statistics(sample_b, weights_RG)
    exchanged = _exchanged(sample_a, sample_b, config.num_resamples, rng)
    rows = {}
    for name in METRICS:
        value_a, value_b = float(point_a.whole[name][0]), float(point_b.whole[name][0])
        differences_R = resampled_a.whole[name] - resampled_b.whole[name]
        rows[name] = {
            "a": _plain(value_a),
            "b": _plain(value_b),
            "difference": asdict(
                difference_interval(value_a - value_b, differences_R, num_units=sample_a.num_groups, level=config.level)
            ),
            "probability_a_better": _share_above(differences_R),
            "p_value": _p_value(abs(value_a - value_b), np.abs(exchanged[name])),
        }
    return {
        "num_slides": sample_a.num_slides,
        "num_groups": sample_a.num_groups,
        "unit": sample_a.unit,
        "level": config.level,
        "resamples": config.num_resamples,
        "metrics": rows,
    }


def _check_same(a: Sample, b: Sample) -> None:
    if not a.num_slides:
        raise UsageError("there is no labelled slide to compare on; give predictions of slides with labels")
    only = sorted(set(a.slides) ^ set(b.slides))
    if only:
        raise UsageError(
            f"the two predictions are not of the same slides: {only[0]} is in one only, and {len(only) - 1} others; "
            "train both on the same cohort with the same decisions and folds"
        )
    for what, left, right in (("label", a.truth_N, b.truth_N), ("group", a.group_N, b.group_N)):
        differing = np.flatnonzero(left != right)
        if differing.size:
            raise UsageError(
                f"slide {a.slides[differing[0]]} has another {what} in each of the two predictions; train both on the "
                "same cohort with the same decisions"
            )


def _exchanged(a: Sample, b: Sample, num_times: int, rng: np.random.Generator) -> dict[str, Floats]:
    """Differences after exchanging A and B in a random half of the groups: metric -> float64 (R,)."""
    keep_RG = rng.integers(2, size=(num_times, a.num_groups))
    first, second = _mixed(a, b, keep_RG), _mixed(a, b, 1 - keep_RG)
    return {name: first.whole[name] - second.whole[name] for name in METRICS}


def _mixed(a: Sample, b: Sample, from_a_RG: np.ndarray[Any, np.dtype[np.int64]]) -> Statistics:
    """Metrics of tables that hold A's row for some groups and B's for the rest."""
    from_b_RG = 1 - from_a_RG
    confusion_RCC = weigh(a.confusion_by_group, from_a_RG) + weigh(b.confusion_by_group, from_b_RG)
    auroc_RC = class_auroc(
        np.concatenate([a.truth_N, b.truth_N]),
        np.concatenate([a.probabilities_NC, b.probabilities_NC]),
        np.concatenate([a.group_N, b.group_N + a.num_groups]),
        np.concatenate([from_a_RG, from_b_RG], axis=1),
    )
    return of_confusion(confusion_RCC, auroc_RC)


def _p_value(observed: float, permuted_R: Floats) -> float | None:
    """Share of permutations at least as extreme, the observed one counted in (Phipson and Smyth 2010)."""
    if np.isnan(observed):
        return None
    defined = permuted_R[~np.isnan(permuted_R)]
    # The slack keeps equal sums, added up in another order, equal.
    return float((1 + np.count_nonzero(defined >= observed - 1e-12)) / (1 + defined.size))


def _share_above(differences_R: Floats) -> float | None:
    defined = differences_R[~np.isnan(differences_R)]
    return float(np.mean((defined > 0) + 0.5 * (defined == 0))) if defined.size else None


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else value
