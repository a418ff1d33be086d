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
        expected = [metrics.class_auroc(truth, one.probabilities_NC) for truth in truth_RN]
        np.testing.assert_allclose(_class_auroc(one, truth_RN), expected)


def test_unknown_metric(make_table: MakeTable) -> None:
    with pytest.raises(ValueError, match="known are macro_f1"):
        permutation_p_value(Sample.of(make_table(9), CLASSES), "f1", seed=0)
