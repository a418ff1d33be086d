"""Permutation tests of one run's predictions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.evaluation.conftest import CLASSES, MakeTable
from tilewise.evaluation.permutation import permutation_p_value
from tilewise.evaluation.resample import METRICS
from tilewise.evaluation.sample import Sample


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("num_groups", [None, 12])
def test_permutation_tells_skill_from_none(make_table: MakeTable, metric: str, num_groups: int | None) -> None:
    skilled = Sample.of(make_table(80, skill=2.0, num_groups=num_groups), CLASSES)
    assert permutation_p_value(skilled, metric, num_permutations=200, seed=0) <= 2 / 201
    idle = [
        permutation_p_value(
            Sample.of(make_table(40, skill=0.0, seed=seed, num_groups=num_groups), CLASSES),
            metric,
            num_permutations=50,
            seed=seed,
        )
        for seed in range(30)
    ]
    assert 0.3 < np.mean(idle) < 0.7


def test_a_classifier_that_knows_only_the_group_gets_credit_between_but_not_within() -> None:
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(12), 6)
    ordinary = np.arange(12) % 3
    truth = np.where(rng.random(72) < 0.8, ordinary[group], rng.integers(0, 3, 72))
    probabilities = np.eye(3)[ordinary[group]]
    table = pd.DataFrame({"slide": [f"s{index:02d}" for index in range(72)], "group": group.astype(str), "fold": 0})
    table["label"] = np.asarray(CLASSES, object)[truth]
    table["predicted"] = np.asarray(CLASSES, object)[ordinary[group]]
    for column, name in enumerate(CLASSES):
        table[f"p_{name}"] = probabilities[:, column]
    sample = Sample.of(table, CLASSES)
    for metric in ("accuracy", "auroc_macro"):
        assert permutation_p_value(sample, metric, scheme="between", num_permutations=300, seed=0) < 0.01
        assert permutation_p_value(sample, metric, scheme="within", num_permutations=300, seed=0) == 1.0


def test_skill_is_told_where_every_group_holds_the_same_classes(make_table: MakeTable) -> None:
    table = make_table(48, num_groups=12)
    table["group"] = [f"group {row // 4}" for row in range(48)]
    table["label"] = table["predicted"] = [CLASSES[row % 2] for row in range(48)]
    assert permutation_p_value(Sample.of(table, CLASSES), "accuracy", num_permutations=200, seed=0) <= 2 / 201


def test_relabelling_keeps_groups(make_table: MakeTable) -> None:
    from tilewise.evaluation.permutation import _between, _within

    table = make_table(60, num_groups=10)
    table["label"] = [CLASSES[int(name.split()[1]) % 3] for name in table["group"]]
    sample = Sample.of(table, CLASSES)
    rng = np.random.default_rng(0)
    moved = _between(sample, rng)
    assert sorted(moved) == sorted(sample.truth_N)
    assert not np.array_equal(moved, sample.truth_N)
    np.testing.assert_array_equal(_within(sample, rng), sample.truth_N)  # one label per group: nothing can move


def test_groups_exchange_labels_with_groups_of_their_size() -> None:
    from tilewise.evaluation.permutation import _between

    sizes = np.array([1] * 6 + [2] * 5 + [3, 4])  # two sizes of one group each exchange with the size before
    group = np.repeat(np.arange(13), sizes)[::-1].copy()  # slides need not stand in the order of groups
    truth = np.arange(group.size)
    names, classes = tuple(f"{slide:02d}" for slide in truth), tuple(map(str, truth))
    sample = Sample(names, classes, truth, truth, np.eye(truth.size), np.zeros(truth.size, int), group)
    moves = np.stack([_between(sample, np.random.default_rng(seed)) for seed in range(200)])
    givers = {index: set(group[np.unique(moves[:, group == index])]) for index in range(13)}
    single, several = set(range(6)), set(range(6, 13))
    assert givers == {index: single if index in single else several for index in range(13)}
    # Labels of a group stay together: each group has those of one other, in any order.
    assert all(len(set(group[row[group == index]])) == 1 for row in moves for index in range(13))
    # The group of four gets both labels of a pair twice, one of three twice, or its own.
    of_four = moves[:, group == 12]
    assert {tuple(sorted(np.bincount(row - row.min()))) for row in of_four} == {(2, 2), (1, 1, 2), (1, 1, 1, 1)}
    assert len({tuple(row) for row in of_four if np.ptp(row) == 3}) > 5


def test_rank_auroc_agrees_with_the_metric(make_table: MakeTable) -> None:
    from tilewise import metrics
    from tilewise.evaluation.permutation import _class_auroc

    sample = Sample.of(make_table(40), CLASSES)
    rounded = Sample(
        sample.slides, sample.classes, sample.truth_N, sample.predicted_N, sample.probabilities_NC.round(1),
        sample.fold_N, sample.group_N,
    )  # fmt: skip
    for one in (sample, rounded):
        truth_RN = np.stack([np.random.default_rng(seed).permutation(one.truth_N) for seed in range(4)])
        ones = np.ones((1, one.num_slides))
        expected = [metrics.class_auroc_of(truth, one.probabilities_NC, ones, one.fold_N)[0] for truth in truth_RN]
        np.testing.assert_allclose(_class_auroc(one, truth_RN), expected)


def test_unknown_metric(make_table: MakeTable) -> None:
    with pytest.raises(ValueError, match="known are macro_f1"):
        permutation_p_value(Sample.of(make_table(9), CLASSES), "f1", seed=0)
