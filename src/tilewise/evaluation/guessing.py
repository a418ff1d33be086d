"""What guessing scores on the same slides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tilewise.evaluation.interval import UNDEFINED, Estimate, score_interval
from tilewise.evaluation.resample import METRICS, Statistics, Weights, in_blocks, label_statistics, of_confusion
from tilewise.evaluation.results import Metrics
from tilewise.evaluation.sample import Floats, Integers, Sample

ClassCounts = Mapping[str, int]


def commonest_predictions(sample: Sample, training_counts: Mapping[int, ClassCounts] | None) -> Integers:
    """The commonest class of each slide's own training labels: int64 (N,).

    Args:
        sample: the slides.
        training_counts: slides per class that each fold learnt from, by fold number (-1: what predicted outside the
            folds). Without it the commonest class of the sample stands in, which flatters the guesser. Of equally
            common classes the first in the order of the classes is taken.
    """
    if training_counts is None:
        counts = np.bincount(sample.truth_N, minlength=sample.num_classes)
        return np.full(sample.truth_N.size, int(counts.argmax()), np.int64)
    commonest = {
        number: int(np.argmax([counts.get(name, 0) for name in sample.classes]))
        for number, counts in training_counts.items()
    }
    return np.array([commonest[int(number)] for number in sample.fold_N], np.int64)


def commonest(sample: Sample, predicted_N: Integers, weights_RG: Weights, *, level: float) -> Metrics:
    """Scores of always guessing the commonest class; low and high are an interval as that of the classifier."""
    guesses = replace(sample, predicted_N=predicted_N)
    point, resampled = label_statistics(guesses, np.ones((1, sample.num_groups))), label_statistics(guesses, weights_RG)
    estimates = {
        name: score_interval(
            float(point.whole[name][0]),
            resampled.whole[name],
            num_units=sample.num_groups,
            level=level,
            # Guessing one class is right everywhere only where there is one class, and wrong everywhere likewise.
            limit=1.0,
        )
        for name in METRICS
    }
    return Metrics(**estimates)


def uniform(sample: Sample, num_guessers: int, *, level: float) -> Metrics:
    """Scores of guessing every class equally often: the mean guesser, and between low and high `level` of all guessers.

    The range is that of guessers on these very slides: a classifier inside it is not told from guessing by this score.
    It follows from the slides of each class alone, so that wherever it stands it is the same.
    """
    guesses = _simulate(sample.repeats[0], num_guessers)
    return Metrics(**{name: _range(guesses.whole[name], level) for name in METRICS})


def _simulate(sample: Sample, num_guessers: int) -> Statistics:
    """Metrics of many uniform guessers."""
    num_cells = sample.num_classes**2
    rng, rows_N = np.random.default_rng(0), np.sort(sample.truth_N) * sample.num_classes
    counts = []
    for block in in_blocks(num_guessers, sample.num_slides):
        num = block.stop - block.start
        guesses_RN = rng.integers(sample.num_classes, size=(num, sample.num_slides))
        cells_RN = rows_N + guesses_RN + np.arange(num)[:, None] * num_cells
        counts.append(np.bincount(cells_RN.ravel(), minlength=num * num_cells))
    return of_confusion(np.concatenate(counts).reshape(num_guessers, sample.num_classes, sample.num_classes))


def _range(values_R: Floats, level: float) -> Estimate:
    defined = values_R[~np.isnan(values_R)]
    if defined.size == 0:
        return UNDEFINED
    low, high = np.quantile(defined, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return Estimate(float(defined.mean()), float(low), float(high))
