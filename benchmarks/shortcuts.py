"""How often cohorts are accused of a shortcut, with none in them and with one of a stated strength.

    python benchmarks/shortcuts.py [--cohorts 1000]

Cohorts of the published four classes, patients of one to three slides, and five traits of 1 to 7 numbers that groups
share in part. `planted`: in a class the first number of one trait is moved by so many standard deviations. Columns:
cohorts in which any trait is accused at 5 % after Holm, and in which it is the planted one.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

from tilewise.evaluation.compare import holm
from tilewise.shortcuts.predict import predict_from
from tilewise.shortcuts.traits import normal_scores

SHARES = np.array([205, 220, 189, 77]) / 691
TRAITS = (4, 7, 4, 2, 4)
NUM_PERMUTATIONS = 199


def accused(num_slides: int, planted: float, seed: int) -> tuple[bool, bool]:
    """Whether any trait of a cohort is accused, and whether the first one is."""
    rng = np.random.default_rng((num_slides, seed))
    groups_S = np.repeat(np.arange(num_slides), rng.integers(1, 4, num_slides))[:num_slides]
    num_groups = groups_S.max() + 1
    labels_S = np.unique(rng.choice(4, num_groups, p=SHARES)[groups_S], return_inverse=True)[1]
    p_values = []
    for number, size in enumerate(TRAITS):
        values_SK = rng.normal(size=(num_groups, size))[groups_S] + 0.5 * rng.normal(size=(num_slides, size))
        if number == 0:
            values_SK[:, 0] += planted * (labels_S == 0)
        one = predict_from(normal_scores(values_SK), labels_S, groups_S, num_permutations=NUM_PERMUTATIONS, seed=seed)
        p_values.append(one.p_value)
    corrected = holm(dict(enumerate(p_values)))
    return min(corrected.values()) <= 0.05, corrected[0] <= 0.05


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cohorts", type=int, default=1000)
    num_cohorts = parser.parse_args().cohorts
    print("| slides | planted, sd | any accused | the planted one | s |\n|---|---|---|---|---|")
    for num_slides in (60, 160):
        for planted in (0.0, 1.0, 2.0):
            start = time.perf_counter()
            num = num_cohorts if planted == 0.0 else num_cohorts // 5
            rows = [accused(num_slides, planted, seed) for seed in range(num)]
            shares = np.mean(rows, axis=0)
            seconds = time.perf_counter() - start
            own = f"{shares[1]:.3f}" if planted else "–"
            print(f"| {num_slides} | {planted:g} | {shares[0]:.3f} | {own} | {seconds:.0f} |")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
