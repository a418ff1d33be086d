"""How far probabilities can be taken at their word: reliability, ECE, Brier score, with intervals over groups."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tilewise.evaluation.calibration_results import CalibrationScores, ProbabilityScores, ReliabilityBin
from tilewise.evaluation.config import EvaluationConfig
from tilewise.evaluation.interval import (
    UNDEFINED,
    Estimate,
    exact_limit,
    score_interval,
    standard_error,
    student_quantile,
)
from tilewise.evaluation.resample import Weights, draw_weights, in_blocks, weighted_sums
from tilewise.evaluation.sample import Floats, Integers, Sample
from tilewise.metrics import log_losses

_MOST_BINS = 10
_LEAST_IN_BIN = 8


def score_calibration(
    sample: Sample, calibrated_NC: Floats | None, config: EvaluationConfig, *, seed: tuple[int, ...]
) -> CalibrationScores:
    """Score the probabilities of a sample, as they are and calibrated.

    Args:
        sample: labelled slides.
        calibrated_NC: probabilities of the same slides by a calibration that was not fitted to them.
        config: level and number of resamples.
        seed: of the resamples.
    """
    shares_C = np.bincount(sample.truth_N, minlength=sample.num_classes) / sample.num_slides
    num_overruled = None if calibrated_NC is None else int((calibrated_NC.argmax(axis=1) != sample.predicted_N).sum())
    return CalibrationScores(
        scores=_scores(sample, sample.probabilities_NC, config, seed),
        calibrated=None if calibrated_NC is None else _scores(sample, calibrated_NC, config, seed),
        class_shares=dict(zip(sample.classes, shares_C.tolist(), strict=True)),
        shares_brier=float(brier_scores(sample.truth_N, np.tile(shares_C, (sample.num_slides, 1))).mean()),
        num_overruled=num_overruled,
    )


def brier_scores(truth_N: Integers, probabilities_NC: Floats) -> Floats:
    """Sum over classes of the square of probability minus truth: float64 (N,), 0 to 2."""
    scores_N: Floats = np.square(probabilities_NC - np.eye(probabilities_NC.shape[1])[truth_N]).sum(axis=1)
    return scores_N


def bins_of(confidence_N: Floats) -> Integers:
    """The bin of each slide, least confident first: int64 (N,). Bins hold equally many, ten bins at most."""
    num_slides = len(confidence_N)
    num_bins = min(_MOST_BINS, max(1, num_slides // _LEAST_IN_BIN))
    bin_N = np.empty(num_slides, np.int64)
    bin_N[np.argsort(confidence_N, kind="stable")] = np.arange(num_slides) * num_bins // max(1, num_slides)
    return bin_N


def _scores(
    sample: Sample, probabilities_NC: Floats, config: EvaluationConfig, seed: tuple[int, ...]
) -> ProbabilityScores:
    rng = np.random.default_rng(seed)
    weights_RG = draw_weights(sample.num_groups, config.num_resamples, rng)
    confidence_N = probabilities_NC[np.arange(sample.num_slides), sample.predicted_N]
    right_N = (sample.predicted_N == sample.truth_N).astype(np.float64)
    bin_N = bins_of(confidence_N)
    totals = [_by_group(sample, values_N, bin_N) for values_N in (np.ones(sample.num_slides), confidence_N, right_N)]
    ones_1G = np.ones((1, sample.num_groups))
    point, resampled = ([weighted_sums(weights, total_GB) for total_GB in totals] for weights in (ones_1G, weights_RG))
    level = config.level
    chance = _chance(confidence_N, bin_N, config, rng)
    mean_C = probabilities_NC.mean(axis=0)
    return ProbabilityScores(
        ece=_ece_interval(float(_ece(*point)[0]), _ece(*resampled), chance, sample, level),
        chance_ece=chance,
        brier=_mean(sample, brier_scores(sample.truth_N, probabilities_NC), weights_RG, level, highest=2.0),
        log_loss=_mean(sample, log_losses(sample.truth_N, probabilities_NC), weights_RG, level, highest=math.inf),
        bins=_bins(sample, bin_N, point, resampled, level),
        mean_probability=dict(zip(sample.classes, mean_C.tolist(), strict=True)),
    )


def _by_group(sample: Sample, values_N: Floats, bin_N: Integers) -> Floats:
    """Sums of each group in each bin: float64 (G, B)."""
    totals_GB = np.zeros((sample.num_groups, int(bin_N.max()) + 1))
    np.add.at(totals_GB, (sample.group_N, bin_N), values_N)
    return totals_GB


def _ece(num_RB: Floats, confidence_RB: Floats, right_RB: Floats) -> Floats:
    errors_R: Floats = np.abs(confidence_RB - right_RB).sum(axis=1) / num_RB.sum(axis=1)
    return errors_R


def _ece_interval(value: float, resampled_R: Floats, chance: Estimate, sample: Sample, level: float) -> Estimate:
    """The ECE with an interval that allows for what chance adds to it.

    Distances from the line never cancel out, so that an ECE of few slides lies above that of many, and resamples lie
    above it once more. The interval is centred on the ECE less this excess (the bootstrap's estimate of bias), and
    reaches down to 0 where exact probabilities would do as badly. In simulations of 60 to 691 slides the interval of
    95 % holds the ECE of the same probabilities on very many slides in 86 to 97 % (`benchmarks/conformal.py --ece`);
    without all this it did in 0 to 96 %.
    """
    error = standard_error(resampled_R, sample.num_groups)
    if error is None or chance.high is None:
        return Estimate(value, 0.0, 1.0)
    centre, reach = 2.0 * value - float(resampled_R.mean()), student_quantile(level, sample.num_groups) * error
    low = 0.0 if value <= chance.high else min(value, max(0.0, centre - reach))
    return Estimate(value, low, min(1.0, max(value, centre + reach)))


def _chance(confidence_N: Floats, bin_N: Integers, config: EvaluationConfig, rng: np.random.Generator) -> Estimate:
    """The ECE of right and wrong drawn by the confidences themselves (Brocker and Smith 2007)."""
    bins_NB = np.eye(int(bin_N.max()) + 1)[bin_N]
    off_RB = np.concatenate(
        [
            (confidence_N - (rng.random((rows.stop - rows.start, len(confidence_N))) < confidence_N)) @ bins_NB
            for rows in in_blocks(config.num_resamples, len(confidence_N))
        ]
    )
    errors_R = np.abs(off_RB).sum(axis=1) / len(confidence_N)
    low, high = np.quantile(errors_R, [(1.0 - config.level) / 2.0, (1.0 + config.level) / 2.0])
    return Estimate(float(errors_R.mean()), float(low), float(high))


def _mean(sample: Sample, values_N: Floats, weights_RG: Weights, level: float, *, highest: float) -> Estimate:
    """The mean over slides, with an interval over groups."""
    sums_G = np.bincount(sample.group_N, values_N, sample.num_groups)
    nums_G = np.bincount(sample.group_N, minlength=sample.num_groups)
    value = float(values_N.mean())
    error = standard_error(weighted_sums(weights_RG, sums_G) / weighted_sums(weights_RG, nums_G), sample.num_groups)
    if error is None:
        return UNDEFINED if math.isinf(highest) else Estimate(value, 0.0, highest)
    reach = student_quantile(level, sample.num_groups) * error
    return Estimate(value, max(0.0, value - reach), min(highest, value + reach))


def _bins(
    sample: Sample, bin_N: Integers, point: Sequence[Floats], resampled: Sequence[Floats], level: float
) -> tuple[ReliabilityBin, ...]:
    num_1B, confidence_1B, right_1B = point
    num_RB, _, right_RB = resampled
    shares_RB = np.divide(right_RB, num_RB, out=np.full(num_RB.shape, np.nan), where=num_RB > 0)
    bins = []
    for index in range(num_1B.shape[1]):
        num, units = num_1B[0, index], sample.units_with(bin_N == index)
        right = score_interval(
            float(right_1B[0, index] / num),
            shares_RB[:, index],
            num_units=units,
            level=level,
            limit=exact_limit(units, level),
        )
        bins.append(ReliabilityBin(float(confidence_1B[0, index] / num), right, int(num)))
    return tuple(bins)
