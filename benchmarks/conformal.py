"""Coverage of prediction sets and error of probabilities, on simulated cohorts of four classes, the rarest one in ten.

    python benchmarks/conformal.py [--cohorts 1000] [--sizes 60 160 691] [--ece]

Each cohort has 20 features; five folds of linear discriminant analysis with the square root of class weights give the
scores. `out of fold`: what a report says, each fold by what is fitted to the others. `deployed`: the mean of the folds'
models and the calibration fitted to all out-of-fold scores, on fresh slides.

With `--ece`: how often the interval of the calibration error holds the error of the same probabilities on 200,000
slides, where they are right, not sure enough (temperature 0.6) and too sure (1.6, 2.5).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tilewise.calibration.calibration import Calibration, cross_fit
from tilewise.evaluation.config import EvaluationConfig
from tilewise.evaluation.sample import Sample
from tilewise.evaluation.score_calibration import score_calibration

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

SHARES = np.array([0.4, 0.3, 0.2, 0.1])
WEIGHTS = np.sqrt(0.25 / SHARES)  # as `class_weights: sqrt`
NUM_FEATURES, NUM_FOLDS, NUM_FRESH = 20, 5, 1000
DISTANCE = 1.4


@dataclass(frozen=True)
class Simulation:
    """Means over cohorts; coverage, then per class, mean set size, and ECE of raw and calibrated probabilities."""

    out_of_fold: float
    out_of_fold_classes: tuple[float, ...]
    deployed: float
    deployed_classes: tuple[float, ...]
    overall_classes: tuple[float, ...]
    mean_size: float
    raw_ece: float
    calibrated_ece: float
    raw_loss: float
    calibrated_loss: float


def draw(num: int, rng: np.random.Generator) -> tuple[Floats, Integers]:
    truth_N = rng.choice(len(SHARES), num, p=SHARES)
    truth_N[: 2 * len(SHARES)] = np.tile(np.arange(len(SHARES)), 2)
    means_CD = DISTANCE * np.eye(len(SHARES), NUM_FEATURES)
    return rng.normal(size=(num, NUM_FEATURES)) + means_CD[truth_N], truth_N


def lda(features_ND: Floats, truth_N: Integers, new_ND: Floats) -> Floats:
    """Scores of new slides by class-weighted discriminant analysis with half of the covariance shrunk."""
    present = np.unique(truth_N)
    means_KD = np.stack([features_ND[truth_N == label].mean(axis=0) for label in present])
    residuals_ND = features_ND - means_KD[np.searchsorted(present, truth_N)]
    covariance_DD = 0.5 * residuals_ND.T @ residuals_ND / len(features_ND) + 0.5 * np.eye(features_ND.shape[1])
    coefficients_KD = np.linalg.solve(covariance_DD, means_KD.T).T
    priors_K = np.bincount(truth_N, minlength=len(SHARES))[present] * WEIGHTS[present]
    logits_NK = new_ND @ coefficients_KD.T - 0.5 * (means_KD * coefficients_KD).sum(axis=1) + np.log(priors_K)
    probabilities_NC = np.full((len(new_ND), len(SHARES)), 1e-6)
    probabilities_NC[:, present] = softmax(logits_NK)
    return probabilities_NC / probabilities_NC.sum(axis=1, keepdims=True)


def softmax(logits_NC: Floats) -> Floats:
    odds_NC = np.exp(logits_NC - logits_NC.max(axis=1, keepdims=True))
    return odds_NC / odds_NC.sum(axis=1, keepdims=True)


def ece(probabilities_NC: Floats, predicted_N: Integers, truth_N: Integers) -> float:
    """Error of the predicted class's probability in ten bins of equally many slides."""
    confidence_N = probabilities_NC[np.arange(len(truth_N)), predicted_N]
    off_N = (confidence_N - (predicted_N == truth_N))[np.argsort(confidence_N)]
    return sum(abs(part.sum()) for part in np.array_split(off_N, 10)) / len(off_N)


def simulate(num_slides: int, *, num_cohorts: int, seed: int) -> Simulation:
    """Simulate cohorts of this many slides."""
    rows = [_cohort(num_slides, np.random.default_rng((seed, number))) for number in range(num_cohorts)]
    hits_PK, nums_PK = (np.sum([row[part] for row in rows], axis=0) for part in (0, 1))  # places, classes
    by_class_PK = hits_PK / nums_PK
    means = np.mean([row[2] for row in rows], axis=0).tolist()
    fold, fresh, overall = by_class_PK.tolist()
    totals = (hits_PK.sum(axis=1) / nums_PK.sum(axis=1)).tolist()
    return Simulation(totals[0], tuple(fold), totals[1], tuple(fresh), tuple(overall), *means)


def _cohort(num_slides: int, rng: np.random.Generator) -> tuple[Floats, Floats, list[float]]:
    features_ND, truth_N = draw(num_slides, rng)
    fresh_ND, fresh_truth_N = draw(NUM_FRESH, rng)
    fold_N = np.empty(num_slides, np.int64)
    fold_N[np.argsort(truth_N + rng.random(num_slides))] = np.arange(num_slides) % NUM_FOLDS
    scores_NC, fresh_NC = np.empty((num_slides, len(SHARES))), np.zeros((NUM_FRESH, len(SHARES)))
    for fold in range(NUM_FOLDS):
        train_N = fold_N != fold
        both_ND = np.concatenate([features_ND[~train_N], fresh_ND])
        both_NC = lda(features_ND[train_N], truth_N[train_N], both_ND)
        scores_NC[~train_N] = both_NC[: (~train_N).sum()]
        fresh_NC += both_NC[(~train_N).sum() :] / NUM_FOLDS
    fitted = cross_fit(scores_NC, truth_N, fold_N, np.arange(num_slides))
    deployed = Calibration.fit(scores_NC, truth_N)
    assert fitted.sets_NC is not None
    assert deployed.scaling is not None
    fresh_sets_NC = deployed.thresholds.sets(fresh_NC)
    overall_sets_NC = deployed.thresholds.sets(fresh_NC, by_class=False)
    places = ((fitted.sets_NC, truth_N), (fresh_sets_NC, fresh_truth_N), (overall_sets_NC, fresh_truth_N))
    hits, nums = [], []
    for sets_NC, labels_N in places:
        held_N = sets_NC[np.arange(len(labels_N)), labels_N]
        hits.append(np.bincount(labels_N, held_N, len(SHARES)))
        nums.append(np.bincount(labels_N, minlength=len(SHARES)))
    scaled_NC, predicted_N, own = deployed.scaling.apply(fresh_NC), fresh_NC.argmax(1), np.arange(NUM_FRESH)
    errors = [ece(one_NC, predicted_N, fresh_truth_N) for one_NC in (fresh_NC, scaled_NC)]
    losses = [float(-np.log(one_NC[own, fresh_truth_N]).mean()) for one_NC in (fresh_NC, scaled_NC)]
    return np.array(hits), np.array(nums), [float(fresh_sets_NC.sum(1).mean()), *errors, *losses]


def ece_coverage(num_slides: int, temperature: float, *, num_samples: int, seed: int) -> float:
    """Share of samples whose interval holds the calibration error of probabilities, which this temperature distorts."""
    rng = np.random.default_rng(seed)

    def sample(num: int) -> Sample:
        logits_NC = 1.5 * rng.normal(size=(num, 4))
        true_NC, probabilities_NC = (softmax(scale * logits_NC) for scale in (1.0, temperature))
        truth_N = (true_NC.cumsum(axis=1) < rng.random((num, 1))).sum(axis=1).clip(0, 3)
        own_N, predicted_N = np.arange(num), probabilities_NC.argmax(axis=1)
        return Sample((), ("A", "B", "C", "D"), truth_N, predicted_N, probabilities_NC, own_N, own_N)

    whole = sample(200_000)
    true = ece(whole.probabilities_NC, whole.predicted_N, whole.truth_N)
    hits = 0
    for number in range(num_samples):
        drawn = sample(num_slides)
        drawn = replace(drawn, slides=tuple(map(str, range(num_slides))))
        estimate = score_calibration(drawn, None, EvaluationConfig(num_resamples=300), seed=(number,)).scores.ece
        assert estimate.low is not None
        assert estimate.high is not None
        hits += estimate.low <= true <= estimate.high
    return hits / num_samples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cohorts", type=int, default=1000)
    parser.add_argument("--sizes", type=int, nargs="+", default=[60, 160, 691])
    parser.add_argument("--ece", action="store_true")
    options = parser.parse_args()
    for num_slides in options.sizes:
        if options.ece:
            for temperature in (1.0, 0.6, 1.6, 2.5):
                share = ece_coverage(num_slides, temperature, num_samples=options.cohorts, seed=1)
                print(f"{num_slides} slides, temperature {temperature}: the interval holds the ECE in {share:.3f}")
            continue
        result = simulate(num_slides, num_cohorts=options.cohorts, seed=1)
        print(f"{num_slides} slides")
        for name, value in vars(result).items():
            print(f"  {name:<20} {np.round(value, 3)}")


if __name__ == "__main__":
    main()
