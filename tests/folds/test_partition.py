"""The partition against scikit-learn's and against the best there is."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from tilewise.folds.partition import PartRule, partition


def free(share: float, num_classes: int) -> PartRule:
    return PartRule(share, least=(0,) * (num_classes + 1), most=(10**6,) * (num_classes + 1))


def deviation(part_G: np.ndarray, counts_GC: np.ndarray, shares: np.ndarray) -> float:
    """Sum over parts and classes of the squared difference of shares, and of sizes as the tie-breaker."""
    counts = np.column_stack([counts_GC, counts_GC.sum(axis=1)])
    shares_held = np.array([counts[part_G == part].sum(axis=0) for part in range(len(shares))]) / counts.sum(axis=0)
    squared = (shares_held - shares[:, None]) ** 2
    return float(squared[:, :-1].sum() + 1e-3 * squared[:, -1].sum())


def random_counts(rng: np.random.Generator, num_groups: int, num_classes: int) -> np.ndarray:
    counts = rng.poisson(rng.choice([0.3, 1.0, 4.0], size=(num_groups, num_classes)))
    counts[np.arange(num_groups), rng.integers(0, num_classes, num_groups)] += 1
    counts[np.arange(num_classes), np.arange(num_classes)] += 1
    return counts.astype(np.int64)


def test_never_worse_than_sklearn() -> None:
    better = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        num_classes, num_folds = int(rng.integers(2, 5)), int(rng.integers(2, 6))
        counts = random_counts(rng, int(rng.integers(8, 40)), num_classes)
        labels = np.concatenate([np.repeat(np.arange(num_classes), row) for row in counts])
        groups = np.repeat(np.arange(len(counts)), counts.sum(axis=1))
        shares = np.full(num_folds, 1 / num_folds)
        ours = partition(counts, (free(1 / num_folds, num_classes),) * num_folds, seed=(0,))
        theirs = np.empty(len(counts), dtype=int)
        cuts = StratifiedGroupKFold(num_folds).split(labels, labels, groups)
        for fold, (_, test) in enumerate(cuts):
            theirs[groups[test]] = fold
        gain = deviation(theirs, counts, shares) - deviation(ours, counts, shares)
        assert gain > -1e-9, seed
        better += gain > 1e-9
    assert better > 20


@pytest.mark.parametrize("seed", range(8))
def test_finds_the_best_of_all_partitions_of_a_few_groups(seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = random_counts(rng, 8, 3)
    shares = np.array([0.6, 0.25, 0.15])
    best = min(deviation(np.array(parts), counts, shares) for parts in product(range(3), repeat=8))
    part_G = partition(counts, tuple(free(share, 3) for share in shares), seed=(seed,))
    assert deviation(part_G, counts, shares) == pytest.approx(best, abs=1e-9)


def test_bounds_come_before_shares() -> None:
    counts = np.array([[1, 0]] * 2 + [[0, 1]] * 20)
    rules = (
        PartRule(0.9, least=(1, 1, 1), most=(9, 99, 99), least_priority=1),
        PartRule(0.1, least=(1, 1, 1), most=(9, 99, 99), least_priority=0),
    )
    part_G = partition(counts, rules, seed=(0,))
    assert sorted(part_G[:2]) == [0, 1]
    assert (part_G[2:] == 1).sum() == 2
    # With one group only, the part of the higher priority has it.
    assert partition(counts[1:], rules, seed=(0,))[0] == 0
    assert partition(counts[1:], rules[::-1], seed=(0,))[0] == 1
    # And a part that may hold one at most gives the other away.
    capped = (PartRule(0.95, (0, 0, 0), (1, 99, 99), most_priority=1), PartRule(0.05, (0, 0, 0), (9, 99, 99)))
    assert sorted(partition(counts, capped, seed=(0,))[:2]) == [0, 1]


def test_many_groups_are_quick_and_exact() -> None:
    counts = np.eye(4, dtype=np.int64)[np.repeat(np.arange(4), [700, 600, 500, 200])]
    part_G = partition(counts, tuple(free(share, 4) for share in (0.64, 0.16, 0.2)), seed=(0,))
    shares_held = np.array([counts[part_G == part].sum(axis=0) for part in range(3)])
    np.testing.assert_array_equal(shares_held, [[448, 384, 320, 128], [112, 96, 80, 32], [140, 120, 100, 40]])
