"""How often the 95 % intervals of `tilewise evaluate` hold the true score, beside the percentile bootstrap.

Cohorts are drawn from a known population; the true score is that of the population (estimated from many cohorts at
once). Prints one row per setting: the share of intervals that hold the truth, and their mean width.

    python benchmarks/interval_coverage.py [REPETITIONS]       default 400, about two minutes
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from tilewise.evaluation.config import EvaluationConfig
from tilewise.evaluation.resample import draw_weights, statistics
from tilewise.evaluation.sample import Sample
from tilewise.evaluation.scores import score

CONFIG = EvaluationConfig(num_resamples=500)
METRICS = ("macro_f1", "balanced_accuracy", "accuracy", "auroc_macro")
CHALLENGE = (0.32, 0.30, 0.27, 0.11)


@dataclass(frozen=True)
class Population:
    """A classifier of given skill on a cohort of given shape; groups share a label mostly, and a shift."""

    name: str
    num_slides: int
    shares: tuple[float, ...]
    skill: float
    num_groups: int = 0

    def draw(self, rng: np.random.Generator, copies: int = 1) -> Sample:
        """One cohort, or several as one."""
        num_slides, num_classes = self.num_slides * copies, len(self.shares)
        num_groups = (self.num_groups or self.num_slides) * copies
        group = np.arange(num_slides) * num_groups // num_slides
        truth = rng.choice(num_classes, num_slides, p=self.shares)
        shift = 0.0
        if self.num_groups:
            together = rng.random(num_slides) < 0.8
            truth = np.where(together, rng.choice(num_classes, num_groups, p=self.shares)[group], truth)
            shift = rng.normal(scale=0.7, size=(num_groups, num_classes))[group]
        logits = rng.normal(size=(num_slides, num_classes)) + shift + self.skill * np.eye(num_classes)[truth]
        probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        names = tuple(map(str, range(num_slides)))
        classes = tuple(map(str, range(num_classes)))
        fold = np.zeros(num_slides, np.int64)
        return Sample(names, classes, truth, probabilities.argmax(1), probabilities, fold, group)


POPULATIONS = (
    Population("15 slides, 3 classes, good", 15, (1 / 3,) * 3, 2.0),
    Population("45 slides, 3 classes, good", 45, (1 / 3,) * 3, 2.0),
    Population("45 slides, 3 classes, near perfect", 45, (1 / 3,) * 3, 5.0),
    Population("32 slides, 4 uneven classes, weak", 32, CHALLENGE, 0.6),
    Population("160 slides, 4 uneven classes, weak", 160, CHALLENGE, 0.6),
    Population("691 slides, 4 uneven classes, weak", 691, CHALLENGE, 0.6),
    Population("48 slides of 4 groups, 3 classes, good", 48, (1 / 3,) * 3, 2.0, 4),
    Population("48 slides of 8 groups, 3 classes, good", 48, (1 / 3,) * 3, 2.0, 8),
    Population("200 slides of 40 groups, 4 uneven classes, weak", 200, CHALLENGE, 0.6, 40),
)


def measure(population: Population, repetitions: int) -> dict[str, list[float]]:
    """Per method and metric: coverage and mean width, in turns."""
    rng = np.random.default_rng(0)
    crowd = population.draw(rng, copies=max(1, 100_000 // population.num_slides))
    truth = {name: value[0] for name, value in statistics(crowd, np.ones((1, crowd.num_groups))).whole.items()}
    covered = {method: np.zeros((repetitions, len(METRICS))) for method in ("tilewise", "percentile")}
    width = {method: np.zeros((repetitions, len(METRICS))) for method in covered}
    for repetition in range(repetitions):
        sample = population.draw(rng)
        scores = score(sample, CONFIG, seed=(repetition,))
        resampled = statistics(sample, draw_weights(sample.num_groups, CONFIG.num_resamples, rng)).whole
        for column, name in enumerate(METRICS):
            ours = (scores.estimate(name).low, scores.estimate(name).high)
            ends = {"tilewise": ours, "percentile": np.nanquantile(resampled[name], [0.025, 0.975])}
            for method, (low, high) in ends.items():
                covered[method][repetition, column] = low <= truth[name] <= high
                width[method][repetition, column] = high - low
    return {
        method: np.stack([covered[method].mean(0), width[method].mean(0)], 1).ravel().tolist() for method in covered
    }


def main() -> None:
    """Print the table."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    print("| setting | interval | " + " | ".join(METRICS) + " |")
    print("| --- | --- |" + " --- |" * len(METRICS))
    for population in POPULATIONS:
        for method, row in measure(population, repetitions).items():
            cells = [f"{100 * row[at]:.1f} % ({row[at + 1]:.3f})" for at in range(0, len(row), 2)]
            print(f"| {population.name} | {method} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
