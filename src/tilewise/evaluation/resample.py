"""Metrics of many weightings of the same slides at once: what bootstrap and permutation stand on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewise import metrics
from tilewise.evaluation.sample import Floats, Integers, Sample

METRICS = tuple(metrics.METRIC_NAMES)
CLASS_METRICS = ("precision", "recall", "f1", "auroc")
_BYTES_AT_ONCE = 1 << 22

Weights = npt.NDArray[np.int16]
# A block of rows of a matrix with a column for each slide.
_BLOCK_BYTES, _FEWEST_ROWS = 1 << 23, 64


@dataclass(frozen=True, eq=False)
class Statistics:
    """Metrics of R weightings: `whole[name]` is float64 (R,), `by_class[name]` float64 (R, C); nan where undefined."""

    whole: dict[str, Floats]
    by_class: dict[str, Floats]


def draw_weights(num_units: int, num_resamples: int, rng: np.random.Generator) -> Weights:
    """How often each unit is drawn: int16 (R, U), each row `num_units` draws with replacement (Efron 1979)."""
    # Narrow, as there may be 100,000 units; that one of these is drawn 32,768 times has no chance worth a name.
    weights_RU = np.empty((num_resamples, num_units), np.int16)
    for rows in in_blocks(num_resamples, num_units):
        num = rows.stop - rows.start
        cells_RU = rng.integers(num_units, size=(num, num_units)) + np.arange(num)[:, None] * num_units
        weights_RU[rows] = np.bincount(cells_RU.ravel(), minlength=num * num_units).reshape(num, num_units)
    return weights_RU


def in_blocks(num_rows: int, row_size: int) -> Iterator[slice]:
    """Rows of so many float64 each, a few MB at a time."""
    rows = max(_FEWEST_ROWS, _BLOCK_BYTES // (8 * max(1, row_size)) // _FEWEST_ROWS * _FEWEST_ROWS)
    for start in range(0, num_rows, rows):
        yield slice(start, min(start + rows, num_rows))


def weighted_sums(weights_RG: npt.NDArray[np.number[Any]], values_GK: npt.NDArray[np.number[Any]]) -> Floats:
    """`weights_RG @ values_GK` in float64, without all weights in float64 at once: (R, K), or (R,) of (G,)."""
    return np.concatenate([weights_RG[rows].astype(np.float64) @ values_GK for rows in in_blocks(*weights_RG.shape)])


def statistics(sample: Sample, weights_RG: npt.NDArray[np.number[Any]]) -> Statistics:
    """Every metric for every weighting of the groups; of several repeats the mean over them."""
    return _mean(
        [
            of_confusion(
                weigh(one.confusion_by_group, weights_RG),
                class_auroc(one.truth_N, one.probabilities_NC, one.group_N, weights_RG, one.fold_N),
            )
            for one in sample.repeats
        ]
    )


def label_statistics(sample: Sample, weights_RG: npt.NDArray[np.number[Any]]) -> Statistics:
    """The same of the predicted labels alone, whose AUROC is that of the bare label."""
    return _mean([of_confusion(weigh(one.confusion_by_group, weights_RG)) for one in sample.repeats])


def _mean(repeats: Sequence[Statistics]) -> Statistics:
    """Mean of each metric over the repeats in which it is defined."""
    if len(repeats) == 1:
        return repeats[0]
    first = repeats[0]
    whole = {name: metrics.mean_defined(np.stack([one.whole[name] for one in repeats], -1)) for name in first.whole}
    by_class = {
        name: metrics.mean_defined(np.stack([one.by_class[name] for one in repeats], -1)) for name in first.by_class
    }
    return Statistics(whole, by_class)


def weigh(confusion_GCC: Integers, weights_RG: npt.NDArray[np.number[Any]]) -> Floats:
    """Weighted sums of the groups' confusion matrices: float64 (R, C, C)."""
    # Counts stay far below 2**53, so the faster floating-point product is exact.
    num_classes = confusion_GCC.shape[-1]
    flat_GK = confusion_GCC.reshape(-1, num_classes**2).astype(np.float64)
    return weighted_sums(weights_RG, flat_GK).reshape(-1, num_classes, num_classes)


def class_auroc(
    truth_N: Integers,
    probabilities_NC: Floats,
    group_N: Integers,
    weights_RG: npt.NDArray[np.number[Any]],
    fold_N: Integers,
) -> Floats:
    """AUROC per class for every weighting of the groups: float64 (R, C), in pieces that fit the processor's cache.

    Only slides of one fold are compared.
    """
    rows = max(1, _BYTES_AT_ONCE // (8 * max(1, truth_N.size)))
    pieces = [
        metrics.class_auroc_of(truth_N, probabilities_NC, weights_RG[start : start + rows, group_N], fold_N)
        for start in range(0, len(weights_RG), rows)
    ]
    return np.concatenate(pieces)


def of_confusion(confusion_RCC: Floats | Integers, auroc_RC: Floats | None = None) -> Statistics:
    """Every metric of confusion matrices. Without `auroc_RC` the AUROC is that of the bare label.

    A label alone is a score of two values, whose AUROC is the mean of sensitivity and specificity.
    """
    if auroc_RC is None:
        auroc_RC = 0.5 * (metrics.recall_of(confusion_RCC) + _specificity(confusion_RCC))
    whole = {
        "macro_f1": metrics.macro_f1_of(confusion_RCC),
        "weighted_f1": metrics.weighted_f1_of(confusion_RCC),
        "balanced_accuracy": metrics.balanced_accuracy_of(confusion_RCC),
        "accuracy": metrics.accuracy_of(confusion_RCC),
        "auroc_macro": metrics.mean_defined(auroc_RC),
        "macro_precision": metrics.macro_precision_of(confusion_RCC),
        "macro_recall": metrics.macro_recall_of(confusion_RCC),
        "weighted_precision": metrics.weighted_precision_of(confusion_RCC),
        "weighted_recall": metrics.weighted_recall_of(confusion_RCC),
    }
    by_class = {
        "precision": metrics.precision_of(confusion_RCC),
        "recall": metrics.recall_of(confusion_RCC),
        "f1": metrics.f1_of(confusion_RCC),
        "auroc": auroc_RC,
    }
    return Statistics(whole, by_class)


def _specificity(confusion_RCC: Floats | Integers) -> Floats:
    others_RC = confusion_RCC.sum((-2, -1))[..., None] - confusion_RCC.sum(-1)
    hits_RC = np.diagonal(confusion_RCC, axis1=-2, axis2=-1)
    false_RC = confusion_RCC.sum(-2) - hits_RC
    share: Floats = np.divide(
        others_RC - false_RC, others_RC, out=np.full(others_RC.shape, np.nan), where=others_RC > 0
    )
    return share
