"""How well numbers predict labels out of fold, and how well they would if labels had nothing to do with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_NUM_FOLDS = 5
_SHRINKAGE = 0.1
_AT_ONCE = 1 << 24  # bytes of one-hot labels


@dataclass(frozen=True)
class TraitPrediction:
    """What is predicted from a trait.

    Attributes:
        predicted_S: class of each slide by a fit that did not know it or its group.
        p_value: share of label shufflings, this one among them, that are predicted at least as well: by the probability
            of the true class, mean over classes, which tells more than how many predictions are right.
        true_probability: the statistic that is tested.
        shuffled_probability: its mean over the shufflings.
        is_least: no shuffling is predicted as well, so that the p-value is the least that so many can give.
    """

    predicted_S: Integers
    p_value: float
    true_probability: float
    shuffled_probability: float
    is_least: bool


def predict_from(
    columns_SK: Floats, labels_S: Integers, groups_S: Integers, *, num_permutations: int, seed: int
) -> TraitPrediction:
    """Predict labels by linear discriminants over grouped folds, and test the score by shuffling the labels.

    Whole groups exchange their labels, and only with groups of the same size: sizes may go with labels. Folds are cut
    without a look at labels, and the discriminant is fitted anew to each shuffling, so that the test is exact.

    Args:
        columns_SK: float64 (S, K), K at least 1.
        labels_S: classes 0 .. C - 1.
        groups_S: groups 0 .. G - 1, which are not split.
        num_permutations: shufflings.
        seed: of folds and shufflings.
    """
    rng = np.random.default_rng((seed, 31))
    fold_S = _folds(groups_S, rng)
    num_classes = int(labels_S.max()) + 1
    rows = max(1, _AT_ONCE // (8 * len(labels_S) * num_classes))
    shufflings = chain([labels_S], _shufflings(labels_S, groups_S, num_permutations, rng))
    scores, first = [], np.empty(0, np.int64)
    while some := list(islice(shufflings, rows)):
        truth_PS = np.stack(some)
        logits_PSC = _logits(columns_SK, truth_PS, fold_S, num_classes)
        if not first.size:
            first = logits_PSC[0].argmax(axis=1)
        scores.append(_true_probability(logits_PSC, truth_PS))
    scores_P = np.concatenate(scores)
    num_as_good = int(np.count_nonzero(scores_P >= scores_P[0] - 1e-12))
    return TraitPrediction(
        first, num_as_good / scores_P.size, float(scores_P[0]), float(scores_P[1:].mean()), num_as_good == 1
    )


def _folds(groups_S: Integers, rng: np.random.Generator) -> Integers:
    """Groups dealt out to folds of like size, the largest first."""
    sizes_G = np.bincount(groups_S)
    order = rng.permutation(len(sizes_G))
    loads = np.zeros(min(_NUM_FOLDS, len(sizes_G)))
    fold_G = np.zeros(len(sizes_G), np.int64)
    for group in order[np.argsort(-sizes_G[order], kind="stable")]:
        fold_G[group] = loads.argmin()
        loads[fold_G[group]] += sizes_G[group]
    return fold_G[groups_S]


def _shufflings(
    labels_S: Integers, groups_S: Integers, num_permutations: int, rng: np.random.Generator
) -> Iterator[Integers]:
    sizes_G = np.bincount(groups_S)
    by_group = np.argsort(groups_S, kind="stable")
    starts_G = np.cumsum(sizes_G) - sizes_G
    blocks = [
        np.stack([by_group[start : start + size] for start in starts_G[sizes_G == size]]) for size in np.unique(sizes_G)
    ]
    for _ in range(num_permutations):
        shuffled_S = labels_S.copy()
        for slides_GN in blocks:
            shuffled_S[slides_GN] = labels_S[rng.permuted(slides_GN[rng.permutation(len(slides_GN))], axis=1)]
        yield shuffled_S


def _logits(columns_SK: Floats, truth_PS: Integers, fold_S: Integers, num_classes: int) -> Floats:
    """Of linear discriminants of equal priors with a shrunk covariance: float64 (P, S, C)."""
    logits_PSC = np.empty((*truth_PS.shape, num_classes))
    for fold in range(int(fold_S.max()) + 1):
        train_SK = columns_SK[fold_S != fold]
        one_hot_PSC = (truth_PS[:, fold_S != fold, None] == np.arange(num_classes)).astype(np.float64)
        counts_PC = one_hot_PSC.sum(axis=1)
        means_PCK = np.einsum("psc,sk->pck", one_hot_PSC, train_SK, optimize=True)
        means_PCK /= np.maximum(counts_PC, 1.0)[..., None]
        between_PKK = np.einsum("pc,pck,pcl->pkl", counts_PC, means_PCK, means_PCK, optimize=True)
        within_PKK = (train_SK.T @ train_SK - between_PKK) / len(train_SK)
        spread_P = np.trace(within_PKK, axis1=1, axis2=2) / within_PKK.shape[-1]
        ridge_P = _SHRINKAGE * spread_P + 1e-9
        within_PKK = (1.0 - _SHRINKAGE) * within_PKK + ridge_P[:, None, None] * np.eye(within_PKK.shape[-1])
        slopes_PKC = np.linalg.solve(within_PKK, means_PCK.transpose(0, 2, 1))
        offsets_PC = 0.5 * np.einsum("pck,pkc->pc", means_PCK, slopes_PKC)
        own_PSC = columns_SK[fold_S == fold] @ slopes_PKC - offsets_PC[:, None]
        logits_PSC[:, fold_S == fold] = np.where((counts_PC > 0)[:, None], own_PSC, -np.inf)
    return logits_PSC


def _true_probability(logits_PSC: Floats, truth_PS: Integers) -> Floats:
    """Probability of the true class, mean over the slides of each class, then over classes: float64 (P,)."""
    shares_PSC = np.exp(logits_PSC - logits_PSC.max(axis=2, keepdims=True))
    true_PS = np.take_along_axis(shares_PSC, truth_PS[..., None], axis=2)[..., 0] / shares_PSC.sum(axis=2)
    # Shuffling keeps how many slides a class has, so that one row of weights serves all.
    counts_C = np.bincount(truth_PS[0], minlength=logits_PSC.shape[2])
    mean_P: Floats = (true_PS / counts_C[truth_PS]).sum(axis=1) / np.count_nonzero(counts_C)
    return mean_P
