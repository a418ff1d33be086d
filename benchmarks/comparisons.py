"""How often `tilewise compare` tells equal and other recipes apart, and how much too good a sweep's winner looks.

Cohorts of four uneven classes are drawn as Gaussian features; a recipe is linear discriminant analysis of some of them.
Another seed draws another bootstrap of the train part and two thirds of the features in every fold: chance of training.
Tables:

- seeds: pairs of one recipe with different seeds. `slides alone` is a test that knows no other chance than of slides;
- recipes: pairs of recipes on other, equally good features;
- power: pairs of which one has fewer features, or one of them blurred. The power that the comparison states for the
  mean difference stands beside the share of pairs that it told apart;
- choice: sweeps of twelve equally good variants; what the variant chosen by validation scores on its test slides, and
  what each fold's own validation part chose scores, less what the same models score on 4,000 fresh slides.

    python benchmarks/comparisons.py [PAIRS]       default 1000, a few minutes
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import stdtr

from tilewise.evaluation.compare import paired_difference
from tilewise.evaluation.influence import influence
from tilewise.evaluation.sample import Sample
from tilewise.metrics import macro_f1

SHARES = np.array((0.32, 0.30, 0.27, 0.11))
NUM_CLASSES, NUM_FEATURES, NUM_FOLDS = 4, 24, 5
CLASSES = ("a", "b", "c", "d")
METRICS = ("macro_f1", "auroc_macro")
_HALF = np.random.default_rng(5).normal(size=(NUM_CLASSES, NUM_FEATURES // 2))
CENTRES = np.tile(_HALF, 2)  # the second half of the features says as much as the first
ALL = tuple(range(NUM_FEATURES))
FIRST, SECOND = ALL[:12], ALL[12:]
BLUR = 0.7  # standard deviation of what is added to a feature that both have
BLURRED = (*ALL[:13], NUM_FEATURES)


@dataclass(frozen=True)
class Cohort:
    """Features and classes of slides, and the fold of each."""

    features_ND: np.ndarray
    truth_N: np.ndarray
    fold_N: np.ndarray


def draw(num_slides: int, separation: float, rng: np.random.Generator) -> Cohort:
    truth = rng.choice(NUM_CLASSES, num_slides, p=SHARES)
    truth[: 2 * NUM_CLASSES] = np.repeat(np.arange(NUM_CLASSES), 2)
    features = separation * CENTRES[truth] + rng.normal(size=(num_slides, NUM_FEATURES))
    blurred = features[:, 13:14] + BLUR * rng.normal(size=(num_slides, 1))
    return Cohort(np.concatenate([features, blurred], 1), truth, cut(truth, rng))


def cut(truth_N: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Stratified folds."""
    fold_N = np.empty(len(truth_N), np.int64)
    fold_N[np.lexsort((rng.random(len(truth_N)), truth_N))] = np.arange(len(truth_N)) % NUM_FOLDS
    return fold_N


def fit(features_ND: np.ndarray, truth_N: np.ndarray, columns: tuple[int, ...], rng: np.random.Generator):
    """Shrunken LDA on a bootstrap and on two thirds of the columns; a function from features to probabilities."""
    rows = np.concatenate([rng.choice(own, len(own)) for own in map(np.flatnonzero, truth_N == np.arange(4)[:, None])])
    chosen = rng.choice(columns, 2 * len(columns) // 3, replace=False)
    x, y = features_ND[np.ix_(rows, chosen)], truth_N[rows]
    means = np.stack([x[y == index].mean(0) for index in range(NUM_CLASSES)])
    residuals = x - means[y]
    scatter = residuals.T @ residuals / len(x)
    scatter = 0.8 * scatter + 0.2 * np.eye(len(chosen)) * np.trace(scatter) / len(chosen)
    slopes = np.linalg.solve(scatter, means.T)
    offsets = -0.5 * (means.T * slopes).sum(0)

    def predict(features: np.ndarray) -> np.ndarray:
        logits = features[:, chosen] @ slopes + offsets
        likely = np.exp(logits - logits.max(1, keepdims=True))
        return likely / likely.sum(1, keepdims=True)

    return predict


def run(cohort: Cohort, columns: tuple[int, ...], rng: np.random.Generator) -> Sample:
    """Out-of-fold predictions of one run."""
    probabilities = np.empty((len(cohort.truth_N), NUM_CLASSES))
    for fold in range(NUM_FOLDS):
        test = cohort.fold_N == fold
        predict = fit(cohort.features_ND[~test], cohort.truth_N[~test], columns, rng)
        probabilities[test] = predict(cohort.features_ND[test])
    names, groups = tuple(map(str, range(len(test)))), np.arange(len(test))
    return Sample(names, CLASSES, cohort.truth_N, probabilities.argmax(1), probabilities, cohort.fold_N, groups)


def pairs(
    num_slides: int, columns: tuple[tuple[int, ...], tuple[int, ...]], num_seeds: int, num_pairs: int, same_folds: bool
) -> Iterator[tuple[list[Sample], list[Sample]]]:
    """Runs of two recipes, as many cohorts as pairs."""
    rng = np.random.default_rng(1)
    for _ in range(num_pairs):
        first = draw(num_slides, 0.35, rng)
        cohorts = [replace(first, fold_N=cut(first.truth_N, rng)) for _ in range(2 * num_seeds)]
        others = cohorts[:num_seeds] if same_folds else cohorts[num_seeds:]
        a = [run(cohort, columns[0], rng) for cohort in cohorts[:num_seeds]]
        yield a, [run(cohort, columns[1], rng) for cohort in others]


def by_slides_alone(a: Sample, b: Sample, metric: str, difference: float) -> float:
    moved_N = influence(a)[metric] - influence(b)[metric]
    return 2 * float(stdtr(a.num_slides - 1, -abs(difference) / np.sqrt(moved_N @ moved_N)))


def measure(title: str, num_slides: int, columns, num_seeds: int, num_pairs: int, same_folds: bool = True) -> None:
    """One row for each metric."""
    rows: dict[str, list[tuple[float, ...]]] = {metric: [] for metric in METRICS}
    results = []
    for a, b in pairs(num_slides, columns, num_seeds, num_pairs, same_folds):
        paired = paired_difference(a, b)
        results.append(paired)
        for metric in METRICS:
            one = paired.metrics[metric]
            alone = by_slides_alone(a[0], b[0], metric, one.value) if num_seeds == 1 else np.nan
            folds = np.nan if one.fold_p_value is None else one.fold_p_value
            rows[metric].append((one.value, one.p_value, alone, folds))
    for metric in METRICS:
        values, p_values, alone, folds = np.array(rows[metric]).T
        difference = float(values.mean())
        stated = np.mean([paired.metrics[metric].power(difference) for paired in results])
        told, by_slides, by_folds = (share(one) for one in (p_values, alone, folds))
        print(
            f"| {title} | {num_slides} | {num_seeds} | {metric} | {difference:+.3f} | {told} | {by_slides} "
            f"| {by_folds} | {100 * stated:.0f} % |",
            flush=True,
        )


def share(p_values: np.ndarray) -> str:
    return "-" if np.isnan(p_values).all() else f"{100 * np.mean(p_values < 0.05):.1f} %"


def choose(num_slides: int, num_sweeps: int, num_variants: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """How much too high the winner scores, and whatever each fold chose, sweep by sweep."""
    rng, own, by_fold = np.random.default_rng(2), [], []
    fresh = draw(4000, 0.35, rng)
    for _ in range(num_sweeps):
        cohort = draw(num_slides, 0.35, rng)
        validation_F = [(cohort.fold_N == (fold + 1) % NUM_FOLDS) for fold in range(NUM_FOLDS)]
        predicted_VFN, fresh_VFN = [], []
        for number in range(num_variants):
            columns = FIRST if number % 2 else SECOND
            models = [
                fit(cohort.features_ND[train], cohort.truth_N[train], columns, rng)
                for fold in range(NUM_FOLDS)
                for train in ((cohort.fold_N != fold) & ~validation_F[fold],)
            ]
            predicted_VFN.append([model(cohort.features_ND).argmax(1) for model in models])
            fresh_VFN.append([model(fresh.features_ND).argmax(1) for model in models])
        predicted, on_fresh = np.array(predicted_VFN), np.array(fresh_VFN)
        truth = cohort.truth_N

        def pooled(choice_F, truth=truth, predicted=predicted, fold_N=cohort.fold_N) -> float:
            return macro_f1(truth, predicted[np.asarray(choice_F)[fold_N], fold_N, np.arange(len(truth))], NUM_CLASSES)

        def true(choice_F, on_fresh=on_fresh) -> float:
            scores = [macro_f1(fresh.truth_N, on_fresh[choice, fold], 4) for fold, choice in enumerate(choice_F)]
            return float(np.mean(scores))

        all_truth = np.concatenate([truth[rows] for rows in validation_F])
        validated = [
            macro_f1(all_truth, np.concatenate([one[fold, rows] for fold, rows in enumerate(validation_F)]), 4)
            for one in predicted
        ]
        winner = [int(np.argmax(validated))] * NUM_FOLDS
        chosen = [
            int(np.argmax([macro_f1(truth[rows], one[fold, rows], NUM_CLASSES) for one in predicted]))
            for fold, rows in enumerate(validation_F)
        ]
        own.append(pooled(winner) - true(winner))
        by_fold.append(pooled(chosen) - true(chosen))
    return np.array(own), np.array(by_fold)


def main() -> None:
    """Print the tables."""
    num_pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    columns = ["slides", "seeds", "metric", "difference", "told", "slides-alone", "Nadeau-Bengio", "power-stated"]
    print(f"| pairs | {' | '.join(columns)} |\n| --- |" + " ---: |" * len(columns))
    for num_slides in (60, 160, 691):
        measure("seeds", num_slides, (ALL, ALL), 1, num_pairs)
    measure("seeds, other folds", 160, (ALL, ALL), 1, num_pairs, same_folds=False)
    measure("seeds", 160, (ALL, ALL), 3, num_pairs // 2)
    for num_slides in (60, 160, 691):
        measure("recipes", num_slides, (FIRST, SECOND), 1, num_pairs // 2)
    measure("recipes", 160, (FIRST, SECOND), 3, num_pairs // 2)
    measure("power", 700, (ALL, ALL[:14]), 1, num_pairs)
    measure("power", 700, (ALL, BLURRED), 1, num_pairs)
    measure("power", 700, (ALL, BLURRED), 3, num_pairs // 4)
    print(
        "\n| slides | the winner's own score, too high by | whatever was chosen, too high by |\n| ---: | ---: | ---: |"
    )
    for num_slides in (60, 160):
        biases = choose(num_slides, num_pairs // 5)
        cells = [f"{np.mean(one):+.3f} ± {np.std(one) / np.sqrt(len(one)):.3f}" for one in biases]
        print(f"| {num_slides} | {cells[0]} | {cells[1]} |", flush=True)


if __name__ == "__main__":
    main()
