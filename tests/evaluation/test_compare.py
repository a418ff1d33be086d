"""Paired comparison and permutation tests."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as reference

from tests.evaluation.conftest import CLASSES, MakeTable
from tilewise.errors import UsageError
from tilewise.evaluation.compare import paired_difference
from tilewise.evaluation.config import EvaluationConfig
from tilewise.evaluation.permutation import permutation_p_value
from tilewise.evaluation.resample import METRICS, statistics
from tilewise.evaluation.sample import Sample

CONFIG = EvaluationConfig(num_resamples=300)


def test_better_is_found_better(make_table: MakeTable) -> None:
    strong, weak = make_table(150, skill=2.5, seed=3), make_table(150, skill=0.5, seed=3)
    compared = paired_difference(strong, weak.sample(frac=1, random_state=0), CLASSES, CONFIG, seed=0)
    macro = compared["metrics"]["macro_f1"]
    expected = reference.f1_score(strong["label"], strong["predicted"], average="macro") - reference.f1_score(
        weak["label"], weak["predicted"], average="macro"
    )
    assert macro["difference"]["value"] == pytest.approx(expected)
    assert macro["difference"]["low"] > 0
    assert macro["probability_a_better"] > 0.99
    assert macro["p_value"] == pytest.approx(1 / 301)
    turned = paired_difference(weak, strong, CLASSES, CONFIG, seed=0)["metrics"]["macro_f1"]
    assert turned["difference"]["value"] == pytest.approx(-macro["difference"]["value"])
    assert turned["difference"]["high"] == pytest.approx(-macro["difference"]["low"])


def test_pairing_is_tighter_than_two_intervals(make_table: MakeTable) -> None:
    table = make_table(100, skill=1.0)
    other = table.copy()
    wrong = other.index[:2]
    other.loc[wrong, "predicted"] = "benign"
    compared = paired_difference(table, other, CLASSES, CONFIG, seed=0)["metrics"]["accuracy"]
    assert abs(compared["difference"]["high"] - compared["difference"]["low"]) < 0.1


def test_no_difference(make_table: MakeTable) -> None:
    table = make_table(60)
    compared = paired_difference(table, table, CLASSES, CONFIG, seed=0)
    for name in METRICS:
        row = compared["metrics"][name]
        assert row["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}
        assert row["p_value"] == 1.0
        assert row["probability_a_better"] == 0.5


def test_p_values_are_fair_when_there_is_no_difference(make_table: MakeTable) -> None:
    """Two equally good classifiers: small p-values come about as often as they should, large ones too."""
    config = EvaluationConfig(num_resamples=100)
    compared = []
    for seed in range(60):
        table = make_table(40, skill=1.0, seed=seed, num_groups=25)
        compared.append(paired_difference(table, _as_good(table, seed), CLASSES, config, seed=seed)["metrics"])
    for name in ("accuracy", "auroc_macro"):
        p_values = np.array([metrics[name]["p_value"] for metrics in compared])
        assert 0.3 < np.mean(p_values <= 0.5) < 0.7, name
        assert np.mean(p_values <= 0.1) < 0.2, name
        assert p_values.max() > 0.85, name


def test_exchanging_takes_whole_groups(make_table: MakeTable) -> None:
    from tilewise.evaluation.compare import _mixed

    table = make_table(30, num_groups=9)
    a, b = Sample.of(table, CLASSES), Sample.of(_as_good(table, 0), CLASSES)
    from_a = np.array([[1] * a.num_groups, [0] * a.num_groups, [1, 0] * (a.num_groups // 2) + [1] * (a.num_groups % 2)])
    mixed = _mixed(a, b, from_a)
    takes_a = from_a[2][a.group_N] == 1
    third = Sample(
        a.slides, a.classes, a.truth_N, np.where(takes_a, a.predicted_N, b.predicted_N),
        np.where(takes_a[:, None], a.probabilities_NC, b.probabilities_NC), a.fold_N, a.group_N,
    )  # fmt: skip
    for row, sample in enumerate((a, b, third)):
        expected = statistics(sample, np.ones((1, a.num_groups)))
        for name in METRICS:
            assert mixed.whole[name][row] == pytest.approx(expected.whole[name][0]), (row, name)


def _as_good(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Predictions of a classifier of the same skill as `make_table`'s, with noise of its own."""
    truth = table["label"].map(CLASSES.index).to_numpy()
    logits = np.random.default_rng(1000 + seed).normal(size=(len(table), 3)) + np.eye(3)[truth]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    columns = {f"p_{name}": probabilities[:, column] for column, name in enumerate(CLASSES)}
    return table.assign(predicted=np.asarray(CLASSES, object)[logits.argmax(1)], **columns)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.iloc[1:], "slide_0000.png is in one only"),
        (lambda table: table.assign(label="benign"), "another label"),
        (lambda table: table.assign(group="all"), "another group"),
        (lambda table: table.assign(label=None), "not of the same slides"),
    ],
)
def test_other_slides_are_refused(make_table: MakeTable, change: object, message: str) -> None:
    table = make_table(30)
    with pytest.raises(UsageError, match=message):
        paired_difference(table, change(table), CLASSES, CONFIG, seed=0)  # type: ignore[operator]


def test_nothing_to_compare(make_table: MakeTable) -> None:
    table = make_table(5).assign(label=None)
    with pytest.raises(UsageError, match="no labelled slide"):
        paired_difference(table, table, CLASSES, CONFIG, seed=0)


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
