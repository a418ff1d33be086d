"""Two ways to train on the same slides: which scores higher, and how sure is that.

The difference that is estimated is that of the recipes, trained on cohorts of this size, and not that of the models at
hand. Its variance has three parts, all taken from the slides' influence on the score (`influence.py`):

- of the slides: sums over groups, squared and added up;
- of training, which gives other models with another seed: how much more sums over the slides that one model predicts
  vary than sums over groups, which is what clustering by fold adds to clustering by group (Cameron, Gelbach and Miller
  2011). It shrinks with the number of seeds;
- of the training slides, which the folds share: each pair of slides counts twice, as tested and learnt from and the
  other way round. What two equally good recipes make of a slide differently is noise, so that the part of the first is
  that of a classifier without skill (`permutation.linear_share`): 0.47 for the labels of four classes, 0.95 for ranks.
  (1 / (k - 1) for k folds, the correction of Nadeau and Bengio (2003) in the limit of many repeats, is too little.)

Student's t has as many degrees of freedom as these parts (Satterthwaite 1946): with one run of five folds each about
four, so that small differences need more seeds. `benchmarks/comparisons.py` measures size and power.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tilewise.errors import UsageError
from tilewise.evaluation.difference import MetricDifference, PairedDifference, Spread
from tilewise.evaluation.influence import influence
from tilewise.evaluation.interval import exact_limit
from tilewise.evaluation.permutation import linear_share
from tilewise.evaluation.resample import METRICS, statistics
from tilewise.evaluation.sample import Floats, Integers, Sample

MARGIN = 0.03


def paired_difference(
    a: Sequence[Sample], b: Sequence[Sample], *, level: float = 0.95, margin: float = MARGIN
) -> PairedDifference:
    """How much better A scores than B, metric by metric, over the same slides.

    Args:
        a: out-of-fold predictions of one part, one sample for each seed that A was trained with.
        b: those of B, of the same slides. Where they have the same folds as A's, they are paired fold by fold.
        level: of the interval.
        margin: the least difference that matters.

    Raises:
        UsageError: there is no slide, or slides, labels or groups differ; names one that does.
    """
    for other in (*a[1:], *b):
        _check_same(a[0], other)
    partners = _partners(a, b)
    runs_a = [_ScoredRun(sample) for sample in a]
    runs_b = [_ScoredRun(sample) for sample in (b if partners is None else partners)]
    first = a[0]
    return PairedDifference(
        num_slides=first.num_slides,
        num_groups=first.num_groups,
        unit=first.unit,
        level=level,
        margin=margin,
        num_runs=(len(a), len(b)),
        same_folds=partners is not None,
        metrics={name: _of_metric(name, runs_a, runs_b, partners is not None, level, margin) for name in METRICS},
    )


def holm(p_values: Mapping[Any, float]) -> dict[Any, float]:
    """P-values of several comparisons, adjusted for their number (Holm 1979)."""
    adjusted, largest = {}, 0.0
    for rank, key in enumerate(sorted(p_values, key=lambda key: p_values[key])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[key]))
        adjusted[key] = largest
    return adjusted


@dataclass(frozen=True)
class _ScoredRun:
    """One run's scores, in all and fold by fold, and the influence of its slides."""

    sample: Sample

    @cached_property
    def fold_index_N(self) -> Integers:  # noqa: N802 - N is an axis
        return np.unique(self.sample.fold_N, return_inverse=True)[1]

    @cached_property
    def num_folds(self) -> int:
        return int(self.fold_index_N.max()) + 1

    @cached_property
    def scores(self) -> dict[str, float]:
        whole = statistics(self.sample, np.ones((1, self.sample.num_groups))).whole
        return {name: float(values[0]) for name, values in whole.items()}

    @cached_property
    def influence(self) -> dict[str, Floats]:
        return influence(self.sample)

    @cached_property
    def fold_scores(self) -> dict[str, Floats]:
        weights_FG = np.zeros((self.num_folds, self.sample.num_groups))
        weights_FG[self.fold_index_N, self.sample.group_N] = 1.0  # a group lies in one fold
        return statistics(self.sample, weights_FG).whole


@dataclass(frozen=True)
class _Training:
    """Variance between models that are trained alike.

    Attributes:
        models: from sums over the slides that a model predicts; the slides' own variance is in it.
        cells: from sums over groups within them, which is the slides' own variance alone.
        degrees: of freedom of `models`.
    """

    models: float
    cells: float
    degrees: int


def _of_metric(
    name: str, runs_a: Sequence[_ScoredRun], runs_b: Sequence[_ScoredRun], is_matched: bool, level: float, margin: float
) -> MetricDifference:
    values_a, values_b = (np.array([run.scores[name] for run in runs]) for runs in (runs_a, runs_b))
    value = float(values_a.mean() - values_b.mean())
    if math.isnan(value):
        return MetricDifference.undefined(_plain(values_a.mean()), _plain(values_b.mean()), level, margin)
    spread = _spread(name, runs_a, runs_b, is_matched)
    if spread is not None and spread.variance == 0.0 and value != 0.0:
        # All slides agree on it; what would have shown itself in this many groups is the least that is not known.
        reach = 1.0 - exact_limit(runs_a[0].sample.num_groups, level)
        spread = Spread((reach / spread.quantile(level)) ** 2, 0.0, spread.degrees_of_freedom)
    return MetricDifference(
        a=float(values_a.mean()),
        b=float(values_b.mean()),
        spread=spread,
        fold_p_value=_fold_p_value(name, runs_a, runs_b) if is_matched else None,
        level=level,
        margin=margin,
        num_slides=runs_a[0].sample.num_slides,
    )


def _spread(name: str, runs_a: Sequence[_ScoredRun], runs_b: Sequence[_ScoredRun], is_matched: bool) -> Spread | None:
    """The variance of the difference; None where one group is all there is."""
    sample = runs_a[0].sample
    if sample.num_groups < 2:
        return None
    shares_a = [run.influence[name] / len(runs_a) for run in runs_a]
    shares_b = [run.influence[name] / len(runs_b) for run in runs_b]
    difference_N = np.sum(shares_a, axis=0) - np.sum(shares_b, axis=0)
    if is_matched:
        differences = [own - other for own, other in zip(shares_a, shares_b, strict=True)]
        scores = [one.scores[name] - other.scores[name] for one, other in zip(runs_a, runs_b, strict=True)]
        trainings = [_training(name, differences, runs_a, scores)]
    else:
        trainings = [
            _training(name, [share + (sign * difference_N - sum(shares)) / len(runs) for share in shares], runs, scores)
            for sign, shares, runs in ((1, shares_a, runs_a), (-1, shares_b, runs_b))
            for scores in ([run.scores[name] for run in runs],)
        ]
    known = [training for training in trainings if training is not None]
    of_slides = _sum_of_squares(difference_N, sample.group_N)
    if min(run.num_folds for run in (*runs_a, *runs_b)) > 1:
        of_slides *= 1.0 + linear_share(name, sample.num_classes)
    of_training = sum(max(0.0, one.models - one.cells) for one in known)
    variance = of_slides + of_training
    if variance == 0.0:
        return Spread(0.0, 0.0, sample.num_groups - 1)
    uncertainty = of_slides**2 / (sample.num_groups - 1)
    uncertainty += sum(max(one.models, one.cells) ** 2 / one.degrees for one in known)
    return Spread(variance, None if len(known) < len(trainings) else of_training / variance, variance**2 / uncertainty)


def _training(
    name: str, shares: Sequence[Floats], runs: Sequence[_ScoredRun], scores: Sequence[float]
) -> _Training | None:
    """How models vary: within each run from fold to fold, or, of runs of one fold, from run to run."""
    if min(run.num_folds for run in runs) > 1:
        models = sum(_sum_of_squares(share, run.fold_index_N) for share, run in zip(shares, runs, strict=True))
        if name == "auroc_macro":  # both slides of a pair are of one fold, whose sum has each pair twice
            models /= 4.0
        cells = sum(_sum_of_squares(share, run.sample.group_N) for share, run in zip(shares, runs, strict=True))
        return _Training(models, cells, sum(run.num_folds - 1 for run in runs))
    if len(runs) > 1:
        return _Training(float(np.var(scores, ddof=1)) / len(runs), 0.0, len(runs) - 1)
    return None


def _sum_of_squares(share_N: Floats, cluster_N: Integers) -> float:
    """Variance of the sum of what adds up to 0, from sums over clusters that are independent of each other."""
    sums = np.bincount(cluster_N, share_N)
    return float(sums @ sums) * len(sums) / (len(sums) - 1)


def _fold_p_value(name: str, runs_a: Sequence[_ScoredRun], runs_b: Sequence[_ScoredRun]) -> float | None:
    """P-value of the corrected resampled t test over (repeated) folds (Nadeau and Bengio 2003)."""
    from scipy.special import stdtr

    pairs = list(zip(runs_a, runs_b, strict=True))
    differences = np.concatenate([one.fold_scores[name] - other.fold_scores[name] for one, other in pairs])
    differences = differences[~np.isnan(differences)]
    fewest = min(run.num_folds for run in runs_a)
    if fewest < 2 or differences.size < 2:
        return None
    variance = float(differences.var(ddof=1)) * (1 / differences.size + 1 / (fewest - 1))
    mean = float(differences.mean())
    if variance == 0.0:
        return 1.0 if mean == 0.0 else 0.0
    return float(2.0 * stdtr(differences.size - 1, -abs(mean) / math.sqrt(variance)))


def _partners(a: Sequence[Sample], b: Sequence[Sample]) -> list[Sample] | None:
    """For each of A's samples one of B's of the same folds; None where that does not work out."""
    rest, partners = list(b), []
    for sample in a:
        index = next((n for n, other in enumerate(rest) if np.array_equal(sample.fold_N, other.fold_N)), None)
        if index is None:
            return None
        partners.append(rest.pop(index))
    return None if rest else partners


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


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
