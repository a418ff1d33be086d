"""Metrics of classification: pure functions, arrays in, float out.

Shapes: `truth_N` and `predicted_N` hold class indices from 0, `probabilities_NC` one row per slide. A confusion matrix
has the truth in its rows. The functions named `..._of` take confusion matrices with any leading axes, so that thousands
of resamples are scored at once.

One rule for what is not defined: a class's figure is nan where its denominator is 0, and an average passes over nan.

- precision is nan for a class that is never predicted, recall for one that is not in the truth, F1 for one that is in
  neither, AUROC for one that is in no slide or in all;
- macro F1 is therefore the mean over the classes that are in the truth or in the predictions, and balanced accuracy
  over those in the truth;
- averaged precision and recall are over the classes that are in the truth or in the predictions, and there what is not
  defined counts 0: a class that is never predicted must not raise the precision.

All of them agree with scikit-learn's defaults: `f1_score` on the same table checks a score.

With no slide at all every metric is nan.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.integer[Any]]
Numbers = npt.NDArray[np.number[Any]]

PrimaryMetric = Literal["macro_f1", "weighted_f1", "balanced_accuracy", "auroc_macro"]
METRIC_NAMES = {
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
    "auroc_macro": "macro AUROC",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "weighted_precision": "weighted precision",
    "weighted_recall": "weighted recall",
}


def confusion_matrix(truth_N: Indices, predicted_N: Indices, num_classes: int) -> npt.NDArray[np.int64]:
    """Slides per class and prediction: int64 (C, C), truth in the rows.

    Raises:
        ValueError: an index is outside 0 .. num_classes - 1, or the arrays differ in length.
    """
    truth_N, predicted_N = np.asarray(truth_N), np.asarray(predicted_N)
    if truth_N.shape != predicted_N.shape or truth_N.ndim != 1:
        raise ValueError(f"truth and predictions differ in shape: {truth_N.shape} and {predicted_N.shape}")
    if truth_N.size == 0:
        return np.zeros((num_classes, num_classes), np.int64)
    lowest, highest = min(truth_N.min(), predicted_N.min()), max(truth_N.max(), predicted_N.max())
    if lowest < 0 or highest >= num_classes:
        raise ValueError(f"class indices run from {lowest} to {highest}, outside 0 .. {num_classes - 1}")
    cells_N = truth_N.astype(np.int64) * num_classes + predicted_N
    return np.bincount(cells_N, minlength=num_classes**2).reshape(num_classes, num_classes)


def accuracy(truth_N: Indices, predicted_N: Indices) -> float:
    """Share of slides that are predicted right."""
    truth_N, predicted_N = np.asarray(truth_N), np.asarray(predicted_N)
    return float(np.mean(truth_N == predicted_N)) if truth_N.size else float("nan")


def balanced_accuracy(truth_N: Indices, predicted_N: Indices, num_classes: int) -> float:
    """Mean recall over the classes in the truth."""
    return float(balanced_accuracy_of(confusion_matrix(truth_N, predicted_N, num_classes)))


def macro_f1(truth_N: Indices, predicted_N: Indices, num_classes: int) -> float:
    """Mean F1 over the classes in the truth or in the predictions."""
    return float(macro_f1_of(confusion_matrix(truth_N, predicted_N, num_classes)))


def weighted_f1(truth_N: Indices, predicted_N: Indices, num_classes: int) -> float:
    """Mean F1, each class weighted by its share of the truth."""
    return float(weighted_f1_of(confusion_matrix(truth_N, predicted_N, num_classes)))


def macro_precision(truth_N: Indices, predicted_N: Indices, num_classes: int) -> float:
    """Mean precision over the classes in the truth or in the predictions; 0 for one that is never predicted."""
    return float(macro_precision_of(confusion_matrix(truth_N, predicted_N, num_classes)))


def macro_recall(truth_N: Indices, predicted_N: Indices, num_classes: int) -> float:
    """Mean recall over the classes in the truth or in the predictions; 0 for one that is not in the truth."""
    return float(macro_recall_of(confusion_matrix(truth_N, predicted_N, num_classes)))


def weighted_precision(truth_N: Indices, predicted_N: Indices, num_classes: int) -> float:
    """Mean precision, each class weighted by its share of the truth; 0 for one that is never predicted."""
    return float(weighted_precision_of(confusion_matrix(truth_N, predicted_N, num_classes)))


def weighted_recall(truth_N: Indices, predicted_N: Indices, num_classes: int) -> float:
    """Mean recall, each class weighted by its share of the truth: the accuracy."""
    return float(weighted_recall_of(confusion_matrix(truth_N, predicted_N, num_classes)))


def primary_score(
    metric: PrimaryMetric, truth_N: Indices, predicted_N: Indices, probabilities_NC: Numbers
) -> float | None:
    """The metric that a recipe chooses by; None where it is not defined."""
    if metric == "auroc_macro":
        score = auroc_macro(truth_N, probabilities_NC)
    else:
        of_confusion = {
            "macro_f1": macro_f1_of,
            "weighted_f1": weighted_f1_of,
            "balanced_accuracy": balanced_accuracy_of,
        }[metric]
        score = float(of_confusion(confusion_matrix(truth_N, predicted_N, np.shape(probabilities_NC)[1])))
    return None if np.isnan(score) else score


def class_precision(truth_N: Indices, predicted_N: Indices, num_classes: int) -> Floats:
    """Share of a class's predictions that are right: float64 (C,)."""
    return precision_of(confusion_matrix(truth_N, predicted_N, num_classes))


def class_recall(truth_N: Indices, predicted_N: Indices, num_classes: int) -> Floats:
    """Share of a class's slides that are found: float64 (C,)."""
    return recall_of(confusion_matrix(truth_N, predicted_N, num_classes))


def class_f1(truth_N: Indices, predicted_N: Indices, num_classes: int) -> Floats:
    """Harmonic mean of precision and recall: float64 (C,)."""
    return f1_of(confusion_matrix(truth_N, predicted_N, num_classes))


def class_auroc(truth_N: Indices, probabilities_NC: Numbers) -> Floats:
    """Area under the ROC curve of each class against all others: float64 (C,); equal probabilities count one half."""
    truth_N = np.asarray(truth_N)
    return class_auroc_of(truth_N, probabilities_NC, np.ones((1, truth_N.size))).reshape(-1)


def auroc_macro(truth_N: Indices, probabilities_NC: Numbers) -> float:
    """Mean one-against-all AUROC over the classes where it is defined."""
    return float(mean_defined(class_auroc(truth_N, probabilities_NC)))


def log_losses(truth_N: Indices, probabilities_NC: Numbers) -> Floats:
    """Negative logarithm of the true class's probability: float64 (N,); 0 counts as the smallest step above 0."""
    truth_N, probabilities_NC = np.asarray(truth_N), np.asarray(probabilities_NC, np.float64)
    own_N = probabilities_NC[np.arange(truth_N.size), truth_N]
    step = np.finfo(np.float64).eps
    losses_N: Floats = -np.log(np.clip(own_N, step, 1.0 - step))
    return losses_N


def log_loss(truth_N: Indices, probabilities_NC: Numbers) -> float:
    """Mean of `log_losses`."""
    losses_N = log_losses(truth_N, probabilities_NC)
    return float(losses_N.mean()) if losses_N.size else float("nan")


def accuracy_of(confusion_CC: Numbers) -> Floats:
    """Accuracy of confusion matrices (..., C, C)."""
    return _ratio(_hits(confusion_CC).sum(-1), confusion_CC.sum((-2, -1)))


def balanced_accuracy_of(confusion_CC: Numbers) -> Floats:
    """Balanced accuracy of confusion matrices (..., C, C)."""
    return mean_defined(recall_of(confusion_CC))


def macro_f1_of(confusion_CC: Numbers) -> Floats:
    """Macro F1 of confusion matrices (..., C, C)."""
    return mean_defined(f1_of(confusion_CC))


def weighted_f1_of(confusion_CC: Numbers) -> Floats:
    """Weighted F1 of confusion matrices (..., C, C)."""
    return _by_support(f1_of(confusion_CC), confusion_CC)


def macro_precision_of(confusion_CC: Numbers) -> Floats:
    """Macro precision of confusion matrices (..., C, C)."""
    return _by_class(precision_of(confusion_CC), confusion_CC)


def macro_recall_of(confusion_CC: Numbers) -> Floats:
    """Macro recall of confusion matrices (..., C, C)."""
    return _by_class(recall_of(confusion_CC), confusion_CC)


def weighted_precision_of(confusion_CC: Numbers) -> Floats:
    """Weighted precision of confusion matrices (..., C, C)."""
    return _by_support(precision_of(confusion_CC), confusion_CC)


def weighted_recall_of(confusion_CC: Numbers) -> Floats:
    """Weighted recall of confusion matrices (..., C, C)."""
    return _by_support(recall_of(confusion_CC), confusion_CC)


def precision_of(confusion_CC: Numbers) -> Floats:
    """Precision per class of confusion matrices: (..., C, C) -> (..., C)."""
    return _ratio(_hits(confusion_CC), confusion_CC.sum(-2))


def recall_of(confusion_CC: Numbers) -> Floats:
    """Recall per class of confusion matrices: (..., C, C) -> (..., C)."""
    return _ratio(_hits(confusion_CC), confusion_CC.sum(-1))


def f1_of(confusion_CC: Numbers) -> Floats:
    """F1 per class of confusion matrices: (..., C, C) -> (..., C)."""
    return _ratio(2 * _hits(confusion_CC), confusion_CC.sum(-2) + confusion_CC.sum(-1))


def class_auroc_of(
    truth_N: Indices, probabilities_NC: Numbers, weights_RN: Numbers, fold_N: Indices | None = None
) -> Floats:
    """AUROC per class for many weightings of the same slides: float64 (R, C).

    A weight is how often a slide was drawn. It is the share of (slide of the class, other slide) pairs that the
    probability orders rightly (Hanley and McNeil 1982), found from one sort per class. With `fold_N` pairs of slides
    of one fold count, so that probabilities of two models are never compared (Airola et al. 2011).
    """
    truth_N, probabilities_NC = np.asarray(truth_N), np.asarray(probabilities_NC)
    fold_N = np.zeros(truth_N.size, np.int64) if fold_N is None else np.asarray(fold_N)
    aurocs = [
        _auroc_of(truth_N == c, probabilities_NC[:, c], weights_RN, fold_N) for c in range(probabilities_NC.shape[1])
    ]
    return np.stack(aurocs, axis=-1)


def mean_defined(values: Floats) -> Floats:
    """Mean over the last axis of what is not nan; nan where nothing is left."""
    defined = ~np.isnan(values)
    return _ratio(np.where(defined, values, 0.0).sum(-1), defined.sum(-1))


def _auroc_of(positive_N: npt.NDArray[np.bool_], scores_N: Numbers, weights_RN: Numbers, fold_N: Indices) -> Floats:
    if scores_N.size == 0:
        return np.full(len(weights_RN), np.nan)
    order_N = np.lexsort((scores_N, fold_N))
    positive_N, scores_N, fold_N = positive_N[order_N], scores_N[order_N], fold_N[order_N]
    weights_RN = np.asarray(weights_RN, np.float64)[:, order_N]
    # Slides of equal score form one step, inside which half of the pairs count.
    starts_fold_N = np.r_[True, fold_N[1:] != fold_N[:-1]]
    starts_T = np.flatnonzero(starts_fold_N | np.r_[True, scores_N[1:] != scores_N[:-1]])
    ups_RT = np.add.reduceat(weights_RN * positive_N, starts_T, axis=1)
    downs_RT = np.add.reduceat(weights_RN * ~positive_N, starts_T, axis=1)
    first_F = np.flatnonzero(starts_fold_N[starts_T])
    downs_RF = np.add.reduceat(downs_RT, first_F, axis=1)
    before_RF = np.cumsum(downs_RF, axis=1) - downs_RF
    steps_F = np.diff(np.r_[first_F, starts_T.size])
    below_RT = np.cumsum(downs_RT, axis=1) - 0.5 * downs_RT - np.repeat(before_RF, steps_F, axis=1)
    num_pairs_R = (np.add.reduceat(ups_RT, first_F, axis=1) * downs_RF).sum(1)
    return _ratio((ups_RT * below_RT).sum(1), num_pairs_R)


def _by_class(values_C: Floats, confusion_CC: Numbers) -> Floats:
    """Mean over the classes in the truth or in the predictions; what is not defined counts 0."""
    occurs_C = confusion_CC.sum(-2) + confusion_CC.sum(-1) > 0
    return _ratio(np.nan_to_num(values_C).sum(-1), occurs_C.sum(-1))


def _by_support(values_C: Floats, confusion_CC: Numbers) -> Floats:
    """Mean over classes, each weighted by its share of the truth; what is not defined counts 0."""
    support_C = confusion_CC.sum(-1)
    return _ratio((np.nan_to_num(values_C) * support_C).sum(-1), support_C.sum(-1))


def _hits(confusion_CC: Numbers) -> Numbers:
    return np.diagonal(confusion_CC, axis1=-2, axis2=-1)


def _ratio(numerator: Any, denominator: Any) -> Floats:
    numerator, denominator = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    ratio: Floats = np.divide(numerator, denominator, out=np.full(numerator.shape, np.nan), where=denominator > 0)
    return ratio
