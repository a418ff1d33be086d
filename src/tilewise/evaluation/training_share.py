"""What training on other slides adds to the variance of a cross-validated score.

Resampling the groups of the test parts tells how far a score of *these* models would move with other slides. The score
of a recipe moves farther, since on another cohort its models would differ too. Cross-validation uses each pair of
groups twice: i is tested by a model that learnt from j, and j by one that learnt from i. A group that pulls the
classifier its way at another is pulled likewise by that one, so both terms move together, and their sum has twice the
variance that resamples show of it. The variance of the pooled score is therefore that of the resamples times 1 + c T,
where T is the share of the variance of a group's influence on the score that is due to what its model learnt from:
0 for a classifier that every cohort would make alike, 1 for one that learnt noise. (The covariances of Bengio and
Grandvalet 2004, "No unbiased estimator of the variance of k-fold cross-validation", with influences in the place of
losses; Nadeau and Bengio 2003 assume a variance of 2.25 times for five folds, whatever the classifier.) Only what is
linear in the single slides that were learnt from counts twice: of labels, which flip, it is half of the variance near
a border, and 0.64 (two classes) to 0.47 (four) of noise. c = 0.6 is between them, and was tried in eight
simulated settings, four of them `benchmarks/honesty.py others`.

T is read off the slides of the validation parts: each was predicted by the model whose training it may stop, and by the
model that tests it. Half the mean squared difference of the two influences, summed over the slides of a group, is what
training adds for two models that share a fraction o of the slides they learnt from. Models that share nothing differ

- by 1 / (1 - o) as much in AUROC, which is smooth in the logits;
- by 1 / sqrt(1 - o) as much in labels, which flip where a difference of the logits crosses 0.

Where folds were cut several times, every slide has a prediction of each repeat, and no validation part is needed: the
variance W of a group's influence between repeats is what training adds for models that share o, and V = W / (1 - o), or
W / sqrt(1 - o) of labels, what it adds for models that share nothing. The mean over K repeats has W (1 - 1 / K) less of
it, so that V - W (1 - 1 / K) as a share of the variance of the mean influences is added.

Of the AUROC resamples show more than the slides' own variance: pairs are of one fold, so that each slide is compared
with few others, whose chance counts at every draw. There the two parts are added up as they are, the first from all
slides together, and count where they are more than the resamples show.

`benchmarks/honesty.py` measures how often intervals that are made so hold what the recipe reaches.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from tilewise.evaluation.influence import share_below
from tilewise.evaluation.resample import CLASS_METRICS, METRICS, Statistics, of_confusion
from tilewise.evaluation.sample import Floats, Integers, Sample

_LARGEST = 1.0
_COUNTED = 0.6  # c
_WHOLE = tuple(name for name in METRICS if name != "auroc_macro")
_BY_CLASS = tuple(name for name in CLASS_METRICS if name != "auroc")
_STEP = 1e-4  # slides
_LEAST_APART = 1e-9


@dataclass(frozen=True, eq=False)
class TrainingShare:
    """What training adds to the variance of each score.

    Attributes:
        whole: of each of `METRICS`, as a share of what resamples of the tested slides show.
        by_class: of each of `CLASS_METRICS`, float64 (C,).
        auroc_variance: with that of training, of the macro AUROC.
        class_auroc_variance: of the AUROC of each class, float64 (C,).
        is_measured: False where it is not read off the predictions.
    """

    whole: Mapping[str, float]
    by_class: Mapping[str, Floats]
    auroc_variance: float
    class_auroc_variance: Floats
    is_measured: bool = True

    @classmethod
    def constant(cls, share: float, num_classes: int) -> TrainingShare:
        """The same for every score, without looking at predictions."""
        by_class = {name: np.full(num_classes, share) for name in CLASS_METRICS}
        return cls(dict.fromkeys(METRICS, share), by_class, 0.0, np.zeros(num_classes), is_measured=False)

    def added(self, name: str, resampled_R: Floats) -> float:
        """To a metric, as a share of the variance of its resamples."""
        return _added(self.whole[name], self.auroc_variance if name == "auroc_macro" else 0.0, resampled_R)

    def added_to_class(self, name: str, index: int, resampled_R: Floats) -> float:
        """To a metric of a class, as a share of the variance of its resamples."""
        variance = float(self.class_auroc_variance[index]) if name == "auroc" else 0.0
        return _added(float(self.by_class[name][index]), variance, resampled_R)


def _added(share: float, least_variance: float, resampled_R: Floats) -> float:
    defined = resampled_R[~np.isnan(resampled_R)]
    variance = float(defined.var(ddof=1)) if defined.size > 1 else 0.0
    return max(share, least_variance / variance - 1.0) if variance > 0.0 else share


def training_share(sample: Sample, validation: Sequence[Sample]) -> TrainingShare:
    """What training on other slides adds to the variance of the scores of a cross-validation.

    Args:
        sample: slides of the test parts, each predicted by the fold that did not know it.
        validation: for each fold its validation part, as the fold's model predicts it. Slides that are not in `sample`
            are passed over.

    Returns:
        That of every score; a share of 1, more than it can be, where no slide is both in a test and in a validation
        part, all repeats cut the slides alike, or the two models of each such slide learnt from the same slides, which
        four groups or fewer can come to.
    """
    if len(sample.repeats) > 1:
        return _of_repeats(sample)
    row_of = {name: row for row, name in enumerate(sample.slides)}
    parts = [(part, np.array([row_of.get(name, -1) for name in part.slides], np.int64)) for part in validation]
    if not any((rows >= 0).any() for _, rows in parts):
        return TrainingShare.constant(_LARGEST, sample.num_classes)
    overlap = _overlap(sample, validation)
    if overlap > 1.0 - _LEAST_APART:
        return TrainingShare.constant(_LARGEST, sample.num_classes)
    gradient_KM = _gradient(sample.confusion_by_group.sum(0))
    influence_NM = _influence(sample, sample, np.arange(sample.num_slides), gradient_KM)
    variance_M = _sums(sample.group_N, influence_NM).var(0, ddof=1)
    squares = []
    for part, rows in parts:
        known = np.flatnonzero(rows >= 0)
        difference_NM = _influence(sample, part, known, gradient_KM) - influence_NM[rows[known]]
        squares.append(np.square(_sums(sample.group_N[rows[known]], difference_NM)))
    half_M = 0.5 * np.concatenate(squares).mean(0)
    training_M = _of_separate(half_M, overlap, sample.num_classes)
    share_M = _COUNTED * _share(training_M, variance_M)
    share_M[-1 - sample.num_classes :] = 0.0
    of_ranks_M = sample.num_groups * (variance_M + _COUNTED * training_M)[-1 - sample.num_classes :]
    return _by_name(share_M, of_ranks_M, sample.num_classes)


def _of_repeats(sample: Sample) -> TrainingShare:
    """Of the mean over repeats. Validation slides count as learnt from, which heads that are fitted at once do."""
    overlap = _overlap_of_repeats(sample)
    if overlap > 1.0 - _LEAST_APART:
        return TrainingShare.constant(_LARGEST, sample.num_classes)
    gradient_KM = _gradient(sample.confusion_by_group.sum(0))
    sums_RGM = np.stack(
        [_sums(one.group_N, _influence(one, one, np.arange(one.num_slides), gradient_KM)) for one in sample.repeats]
    )
    between_M = sums_RGM.var(0, ddof=1).mean(0)
    separate_M = _of_separate(between_M, overlap, sample.num_classes)
    training_M = separate_M - (1.0 - 1.0 / len(sums_RGM)) * between_M
    share_M = _share(training_M, sums_RGM.mean(0).var(0, ddof=1))
    return _by_name(share_M, np.zeros(1 + sample.num_classes), sample.num_classes)


def _of_separate(between_M: Floats, overlap: float, num_classes: int) -> Floats:
    """What training adds where models share no slide, from what it adds where they share some."""
    separate_M, apart = between_M.copy(), 1.0 - overlap
    separate_M[: -1 - num_classes] /= math.sqrt(apart)
    separate_M[-1 - num_classes :] /= apart
    return separate_M


def _share(training_M: Floats, variance_M: Floats) -> Floats:
    share_M = np.divide(training_M, variance_M, out=np.full_like(training_M, _LARGEST), where=variance_M > 0.0)
    shares_M: Floats = np.minimum(share_M, _LARGEST)
    return shares_M


def _influence(sample: Sample, part: Sample, chosen_N: Integers, gradient_KM: Floats) -> Floats:
    """What each slide adds to each score, up to a constant: float64 (N, M), the AUROC last."""
    truth_N, num_classes = part.truth_N[chosen_N], sample.num_classes
    of_labels_NM = gradient_KM[truth_N * num_classes + part.predicted_N[chosen_N]]
    of_ranks_NC = np.stack(
        [_auroc_influence(sample, part.probabilities_NC[chosen_N, c], truth_N == c, c) for c in range(num_classes)], 1
    )
    return np.concatenate([of_labels_NM, of_ranks_NC, of_ranks_NC.mean(1, keepdims=True)], 1)


def _auroc_influence(sample: Sample, scores_N: Floats, is_own_N: npt.NDArray[np.bool_], index: int) -> Floats:
    """Of slides of such scores on the AUROC of a class, beside the slides of the sample."""
    own_N = sample.truth_N == index
    if own_N.all() or not own_N.any():
        return np.zeros_like(scores_N)
    own, others = sample.probabilities_NC[own_N, index], sample.probabilities_NC[~own_N, index]
    auroc = float(share_below(own, others).mean())
    above_others_N, below_own_N = share_below(scores_N, others), 1.0 - share_below(scores_N, own)
    influence_N: Floats = np.where(is_own_N, (above_others_N - auroc) / own.size, (below_own_N - auroc) / others.size)
    return influence_N


def _gradient(confusion_CC: Integers) -> Floats:
    """Derivative of each score by the slides in each cell: float64 (C * C, M), without the AUROC."""
    num_classes = len(confusion_CC)
    steps_KCC = _STEP * np.eye(num_classes**2).reshape(-1, num_classes, num_classes)
    values_KM = _columns(of_confusion(np.concatenate([confusion_CC + steps_KCC, confusion_CC[None]])))
    gradient_KM: Floats = np.nan_to_num((values_KM[:-1] - values_KM[-1]) / _STEP)
    return gradient_KM


def _columns(statistics: Statistics) -> Floats:
    """Scores that follow from the confusion matrix, side by side: over all classes, then each of each class."""
    whole = [statistics.whole[name][:, None] for name in _WHOLE]
    return np.concatenate([*whole, *(statistics.by_class[name] for name in _BY_CLASS)], 1)


def _by_name(share_M: Floats, of_ranks_M: Floats, num_classes: int) -> TrainingShare:
    """The columns of `_influence` under their names."""
    whole = dict(zip(_WHOLE, map(float, share_M), strict=False))
    pieces = share_M[len(_WHOLE) : -1].reshape(-1, num_classes)
    by_class = dict(zip((*_BY_CLASS, "auroc"), pieces, strict=True))
    return TrainingShare(whole | {"auroc_macro": float(share_M[-1])}, by_class, float(of_ranks_M[-1]), of_ranks_M[:-1])


def _sums(index_N: Integers, values_NM: Floats) -> Floats:
    """Sums over the slides of each group that occurs: float64 (G, M)."""
    groups, row_N = np.unique(index_N, return_inverse=True)
    sums_GM = np.zeros((groups.size, values_NM.shape[1]))
    np.add.at(sums_GM, row_N, values_NM)
    return sums_GM


def _overlap(sample: Sample, parts: Sequence[Sample]) -> float:
    """Mean share of their slides that the two models of a slide both learnt from."""
    validation_of = {int(part.fold_N[0]): part for part in parts if part.num_slides}
    learnt = {}
    for fold in np.unique(sample.fold_N):
        stopping = validation_of[fold].slides if fold in validation_of else ()
        learnt[int(fold)] = (sample.fold_N != fold) & ~np.isin(sample.slides, stopping)
    fold_of = dict(zip(sample.slides, map(int, sample.fold_N), strict=True))
    pairs = Counter(
        (fold, fold_of[name]) for fold, part in validation_of.items() for name in part.slides if name in fold_of
    )
    shares = {
        (one, other): np.count_nonzero(learnt[one] & learnt[other]) / math.sqrt(learnt[one].sum() * learnt[other].sum())
        for one, other in pairs
    }
    return sum(num * shares[pair] for pair, num in pairs.items()) / pairs.total()


def _overlap_of_repeats(sample: Sample) -> float:
    """Mean over slides of the share of their slides that the models of two repeats both learnt from."""
    shares = []
    for one, other in combinations([one.fold_N for one in sample.repeats], 2):
        tested_N, other_tested_N, both_N = (_alike(keys) for keys in (one[:, None], other[:, None], np.c_[one, other]))
        learnt_N, other_learnt_N = one.size - tested_N, one.size - other_tested_N
        both_learnt_N = one.size - tested_N - other_tested_N + both_N
        shares.append(np.mean(both_learnt_N / np.sqrt(learnt_N * other_learnt_N)))
    return float(np.mean(shares))


def _alike(keys_NK: Integers) -> Integers:
    """How many rows are like each row: int64 (N,)."""
    _, row_N, counts = np.unique(keys_NK, axis=0, return_inverse=True, return_counts=True)
    alike_N: Integers = counts[row_N]
    return alike_N
