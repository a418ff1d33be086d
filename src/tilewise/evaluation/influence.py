"""How much each slide moves each metric: what variances of scores and differences are added up from."""

from __future__ import annotations

import numpy as np

from tilewise.evaluation.resample import METRICS, of_confusion
from tilewise.evaluation.sample import Floats, Sample

_STEP = 1e-3  # of a cell's count; the error of the central difference is of its square
_UNSEEN = 0.5  # slides that are added to each class


def influence(sample: Sample) -> dict[str, Floats]:
    """Derivative of each metric by the weight of each slide: metric -> float64 (N,), nan where it is not defined.

    A metric does not change when all weights are scaled, so that the derivatives add up to 0. Sums of them over groups
    or folds, squared and added up, are the infinitesimal jackknife's variance (Efron 1982); of the AUROC it is that of
    DeLong, DeLong and Clarke-Pearson (1988).
    """
    slopes = _slopes(sample.confusion_by_group.sum(0).astype(np.float64))
    by_metric = {name: slope_CC[sample.truth_N, sample.predicted_N] for name, slope_CC in slopes.items()}
    return by_metric | {"auroc_macro": _of_auroc(sample)}


def unseen_widening(sample: Sample) -> dict[str, float]:
    """By how much the errors that a few slides did not show add to the variance of each metric: a factor from 1 on.

    A class of three slides that are all right, or all wrong, does not vary between resamples, though other slides of
    it would. Half a slide more for each class, right as often as the slides of all classes are, gives it a variance
    (the idea of Agresti and Coull 1998). With many slides a class it is 1, as it is for the AUROC.
    """
    counts_CC = sample.confusion_by_group.sum(0) / max(1, len(sample.repeats))
    num_classes, num_C = len(counts_CC), counts_CC.sum(1, keepdims=True)
    is_right = (np.trace(counts_CC) + _UNSEEN) / (counts_CC.sum() + 2.0 * _UNSEEN)
    unseen_CC = np.full_like(counts_CC, (1.0 - is_right) / max(1, num_classes - 1))
    np.fill_diagonal(unseen_CC, is_right)
    smooth_CC = num_C * (counts_CC + _UNSEEN * unseen_CC) / (num_C + _UNSEEN)
    before, after = (
        {name: float((cells_CC * np.square(slope_CC)).sum()) for name, slope_CC in _slopes(cells_CC).items()}
        for cells_CC in (counts_CC, smooth_CC)
    )
    factors = {name: max(1.0, after[name] / before[name]) if before[name] > 0.0 else 1.0 for name in METRICS}
    return factors | {"auroc_macro": 1.0}


def _slopes(counts_CC: Floats) -> dict[str, Floats]:
    """Derivative of each metric by the slides in each cell that is not empty: metric -> float64 (C, C)."""
    truth_K, predicted_K = np.nonzero(counts_CC)
    step_K = np.minimum(_STEP, 0.5 * counts_CC[truth_K, predicted_K])
    moved_KCC = np.zeros((len(truth_K), *counts_CC.shape))
    moved_KCC[np.arange(len(truth_K)), truth_K, predicted_K] = step_K
    more, fewer = of_confusion(counts_CC + moved_KCC), of_confusion(counts_CC - moved_KCC)
    slopes = {}
    for name in METRICS:
        slopes[name] = np.zeros_like(counts_CC)
        slopes[name][truth_K, predicted_K] = (more.whole[name] - fewer.whole[name]) / (2 * step_K)
    return slopes


def _of_auroc(sample: Sample) -> Floats:
    classes = [_of_class_auroc(sample, index) for index in np.unique(sample.truth_N)]
    by_class = [influence_N for influence_N in classes if influence_N is not None]
    return np.mean(by_class, axis=0) if by_class else np.full(sample.num_slides, np.nan)


def _of_class_auroc(sample: Sample, index: int) -> Floats | None:
    """Of the share of pairs in one fold that are ordered rightly; None where there is no pair."""
    scores_N, is_own_N = sample.probabilities_NC[:, index], sample.truth_N == index
    wins_N, pairs_N = np.zeros(sample.num_slides), np.zeros(sample.num_slides)
    for fold in np.unique(sample.fold_N):
        own_N, others_N = (sample.fold_N == fold) & is_own_N, (sample.fold_N == fold) & ~is_own_N
        if own_N.any() and others_N.any():
            pairs_N[own_N], pairs_N[others_N] = others_N.sum(), own_N.sum()
            wins_N[own_N] = share_below(scores_N[own_N], scores_N[others_N])
            wins_N[others_N] = 1.0 - share_below(scores_N[others_N], scores_N[own_N])
    wins_N *= pairs_N
    num_pairs = pairs_N[is_own_N].sum()
    if num_pairs == 0:
        return None
    influence_N: Floats = (wins_N - wins_N[is_own_N].sum() / num_pairs * pairs_N) / num_pairs
    return influence_N


def share_below(values: Floats, others: Floats) -> Floats:
    """Share of `others` below each value, equal ones counted half."""
    ordered = np.sort(others)
    low, high = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    share: Floats = (low + high) / (2 * len(others))
    return share
