"""Could a classifier that learnt nothing have scored as well?"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from tilewise.evaluation.resample import METRICS, of_confusion
from tilewise.evaluation.sample import Floats, Integers, Sample

Scheme = Literal["between", "within"]
_LEAST_OF_A_SIZE = 5


def permutation_p_value(
    sample: Sample, metric: str = "macro_f1", *, scheme: Scheme = "between", num_permutations: int = 2000, seed: int
) -> float:
    """Share of relabellings of the slides that the predictions fit at least as well as the true labels.

    The predictions stay, the labels move (Ojala and Garriga 2010, with the observed labels counted in, so that the
    value is never 0). What may be exchanged is the hypothesis that is tested:

    - `between`: labels say nothing of the slides. The labels of a group stay together, in any order, and groups of one
      size exchange theirs (permutation of exchangeable blocks, Winkler et al. 2015). Sizes that fewer than five groups
      have are taken together with the next; a group that gets the labels of a longer one takes some of them, and of a
      shorter one repeats them. Where all groups of such sizes hold one class each this is exact as well.
    - `within`: labels say nothing of the slides beyond their group. Labels move only inside their group, so a
      classifier that only recognises the group (the patient, the scanner) is given no credit.

    Predictions of a cross-validation depend on the labels of the other folds, which a relabelling leaves as they are.
    Relabelled scores therefore vary too little, and are drawn apart by as much as the theory of a classifier that
    learnt noise says, see `linear_share`.

    Args:
        sample: slides, labels, predictions, groups, folds.
        metric: one of `METRICS`.
        scheme: see above.
        num_permutations: random relabellings.
        seed: of the relabellings.

    Raises:
        ValueError: no such metric.
    """
    if metric not in METRICS:
        raise ValueError(f"no metric {metric!r}; known are {', '.join(METRICS)}")
    rng = np.random.default_rng(seed)
    relabel = _between if scheme == "between" else _within
    truth_RN = np.stack([sample.truth_N, *(relabel(sample, rng) for _ in range(num_permutations))])
    scores_R = _scores(sample, truth_RN, metric)
    if np.isnan(scores_R[0]):
        return float("nan")
    if np.unique(sample.fold_N).size > 1:
        mean = float(np.nanmean(scores_R[1:]))
        widening = math.sqrt(1.0 + linear_share(metric, sample.num_classes))
        scores_R[1:] = mean + widening * (scores_R[1:] - mean)
    return float(np.count_nonzero(scores_R >= scores_R[0] - 1e-12) / scores_R.size)


def linear_share(metric: str, num_classes: int) -> float:
    """What training adds to the variance of a cross-validated score without skill, as a share of that of the slides.

    Each pair of groups counts twice, as tested and learnt from and the other way round, and of noise both terms are
    alike: the linear part of the predictions' variance counts twice (`training_share`). Of ranks the linear part is
    3 / pi of all. Of the label, the highest of C normal logits, it is m^2 C / (C - 1)^2, where m is the mean of the
    highest: 0.64 of two classes, 0.47 of four.
    """
    from scipy.special import ndtr

    if metric == "auroc_macro":
        return 3.0 / math.pi
    x = np.linspace(-9.0, 9.0, 3601)
    density = num_classes * np.exp(-0.5 * x**2) / math.sqrt(2.0 * math.pi) * ndtr(x) ** (num_classes - 1)
    mean_highest = float((x * density).sum() * (x[1] - x[0]))
    return mean_highest**2 * num_classes / (num_classes - 1) ** 2


def _between(sample: Sample, rng: np.random.Generator) -> Integers:
    size_G = np.bincount(sample.group_N, minlength=sample.num_groups)
    stratum_G = _strata(size_G)
    giver_G = np.empty(sample.num_groups, np.int64)
    in_strata = np.argsort(stratum_G, kind="stable")
    giver_G[in_strata] = np.lexsort((rng.random(sample.num_groups), stratum_G))
    slides = np.argsort(sample.group_N, kind="stable")
    start_G = np.cumsum(size_G) - size_G
    place_N = np.empty_like(slides)
    place_N[slides] = np.arange(sample.num_slides) - start_G[sample.group_N[slides]]
    giver_N = giver_G[sample.group_N]
    # In any order: where every group holds the same classes, groups that only exchanged theirs would change nothing.
    given_N = np.lexsort((rng.random(sample.num_slides), sample.group_N))
    moved_N: Integers = sample.truth_N[given_N[start_G[giver_N] + place_N % size_G[giver_N]]]
    return moved_N


def _strata(size_G: Integers) -> Integers:
    """Groups that exchange labels: of one size where enough have it, else of neighbouring sizes."""
    sizes, counts = np.unique(size_G, return_counts=True)
    ends, num = [], 0
    for size, one in zip(sizes, counts, strict=True):
        num += int(one)
        if num >= _LEAST_OF_A_SIZE:
            ends.append(int(size))
            num = 0
    if num and ends:
        ends.pop()  # too few are left over: they join the last
    strata: Integers = np.searchsorted(np.array(ends, np.int64), size_G)
    return strata


def _within(sample: Sample, rng: np.random.Generator) -> Integers:
    in_new_order = np.lexsort((rng.random(sample.num_slides), sample.group_N))
    moved_N = np.empty_like(sample.truth_N)
    moved_N[np.argsort(sample.group_N, kind="stable")] = sample.truth_N[in_new_order]
    return moved_N


def _scores(sample: Sample, truth_RN: Integers, metric: str) -> Floats:
    num_cells = sample.num_classes**2
    cells_RN = truth_RN * sample.num_classes + sample.predicted_N + np.arange(len(truth_RN))[:, None] * num_cells
    counts = np.bincount(cells_RN.ravel(), minlength=len(truth_RN) * num_cells)
    confusion_RCC = counts.reshape(-1, sample.num_classes, sample.num_classes)
    auroc_RC = _class_auroc(sample, truth_RN) if metric == "auroc_macro" else None
    return of_confusion(confusion_RCC, auroc_RC).whole[metric]


def _class_auroc(sample: Sample, truth_RN: Integers) -> Floats:
    """AUROC per class of many truths for the same probabilities, from their ranks (Mann and Whitney 1947)."""
    wins_RC = np.zeros((len(truth_RN), sample.num_classes))
    pairs_RC = np.zeros_like(wins_RC)
    for fold in np.unique(sample.fold_N):
        in_fold_N = sample.fold_N == fold
        for index in range(sample.num_classes):
            is_own_RN = truth_RN[:, in_fold_N] == index
            num_own_R = is_own_RN.sum(1)
            ranks_N = _ranks(sample.probabilities_NC[in_fold_N, index])
            wins_RC[:, index] += is_own_RN @ ranks_N - num_own_R * (num_own_R + 1) / 2
            pairs_RC[:, index] += num_own_R * (ranks_N.size - num_own_R)
    auroc_RC: Floats = np.divide(wins_RC, pairs_RC, out=np.full(wins_RC.shape, np.nan), where=pairs_RC > 0)
    return auroc_RC


def _ranks(values_N: Floats) -> Floats:
    """Ranks from 1; equal values share the mean of theirs."""
    _, step_N, counts = np.unique(values_N, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks_N: Floats = (ends - (counts - 1) / 2)[step_N]
    return ranks_N
