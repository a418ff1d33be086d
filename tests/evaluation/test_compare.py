"""Paired comparison of recipes by the predictions of their runs."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as reference
from scipy import stats

from tests.evaluation.conftest import CLASSES, MakeTable
from tilewise.errors import UsageError
from tilewise.evaluation.compare import holm, paired_difference
from tilewise.evaluation.difference import MetricDifference, PairedDifference, Spread
from tilewise.evaluation.interval import difference_interval
from tilewise.evaluation.resample import METRICS, draw_weights, statistics
from tilewise.evaluation.sample import Sample


def compare(a: pd.DataFrame, b: pd.DataFrame, **options: float) -> PairedDifference:
    return paired_difference([Sample.of(a, CLASSES)], [Sample.of(b, CLASSES)], **options)


def test_better_is_better(make_table: MakeTable) -> None:
    strong, weak = make_table(150, skill=2.5, seed=3), make_table(150, skill=0.5, seed=3)
    macro = compare(strong, weak.sample(frac=1, random_state=0)).metrics["macro_f1"]
    expected = reference.f1_score(strong["label"], strong["predicted"], average="macro") - reference.f1_score(
        weak["label"], weak["predicted"], average="macro"
    )
    assert macro.value == pytest.approx(expected)
    assert macro.difference.low > 0
    assert macro.probability_better() > 0.99
    assert macro.p_value < 0.05
    swapped = compare(weak, strong).metrics["macro_f1"]
    low, high = macro.difference.low, macro.difference.high
    assert tuple(swapped.difference) == pytest.approx((-macro.value, -high, -low))
    assert swapped.p_value == pytest.approx(macro.p_value)
    assert swapped.probability_worse(0.03) == pytest.approx(macro.probability_better(0.03))


def test_no_difference(make_table: MakeTable) -> None:
    table = make_table(60)
    for one in compare(table, table).metrics.values():
        assert tuple(one.difference) == (0.0, 0.0, 0.0)
        assert one.p_value == 1.0
        assert one.probability_better() == 0.5
        assert one.detectable is one.slides_needed(0.03) is one.power(0.1) is None


@pytest.mark.parametrize("num_groups", [None, 30])
def test_variance_over_slides_is_that_of_the_bootstrap(make_table: MakeTable, num_groups: int | None) -> None:
    """One fold each, so that nothing else can be told: the interval is that of resampled groups."""
    a = make_table(200, skill=1.2, num_groups=num_groups, num_folds=1)
    b = _as_good(a, 0)
    one, other = Sample.of(a, CLASSES), Sample.of(b, CLASSES)
    weights = draw_weights(one.num_groups, 4000, np.random.default_rng(0))
    drawn_a, drawn_b = statistics(one, weights).whole, statistics(other, weights).whole
    for name, result in compare(a, b).metrics.items():
        drawn = difference_interval(result.value, drawn_a[name] - drawn_b[name], num_units=one.num_groups, level=0.95)
        assert result.spread.training_share is None
        assert tuple(result.difference) == pytest.approx(tuple(drawn), abs=0.012), name


def test_luck_of_folds_widens_the_interval(make_table: MakeTable) -> None:
    a = make_table(300, skill=1.0, num_folds=5)
    b = a.copy()
    worse = b["fold"].isin([0, 1]) & (b.index % 4 != 0)
    b.loc[worse, "predicted"] = "benign"
    others = a.index // 5 % 5
    together, apart = compare(a, b), compare(a.assign(fold=others), b.assign(fold=others))
    spreads = [one.metrics["accuracy"].spread for one in (together, apart)]
    assert spreads[0].training_share > 0.3 > spreads[1].training_share
    assert spreads[0].variance > 1.3 * spreads[1].variance
    assert spreads[0].degrees_of_freedom < 6


def test_more_seeds_tell_smaller_differences(make_table: MakeTable) -> None:
    base = make_table(300, num_folds=5)
    a, b = ([Sample.of(_as_good(base, seed), CLASSES) for seed in seeds] for seeds in (range(4), range(4, 8)))
    once, often = paired_difference(a[:1], b[:1]), paired_difference(a, b)
    assert often.num_runs == (4, 4)
    for name in METRICS:
        assert often.metrics[name].detectable < once.metrics[name].detectable, name
        mean = np.mean([statistics(one, np.ones((1, 300))).whole[name][0] for one in a])
        assert often.metrics[name].a == pytest.approx(mean)


def test_runs_of_other_folds_are_compared_slide_by_slide(make_table: MakeTable) -> None:
    a = make_table(120, num_folds=5)
    b = _as_good(a, 1).assign(fold=a["fold"].sample(frac=1, random_state=1).to_numpy())
    result = compare(a, b)
    assert not result.same_folds
    assert result.metrics["macro_f1"].fold_p_value is None
    assert result.metrics["macro_f1"].spread.degrees_of_freedom < 30
    shuffled = [Sample.of(table, CLASSES) for table in (a, b)]
    assert paired_difference(shuffled, shuffled[::-1]).same_folds


def test_corrected_t_test_over_folds_is_that_of_the_formula(make_table: MakeTable) -> None:
    a = make_table(100, num_folds=5)
    b = _as_good(a, 2)
    differences = [
        np.mean(one["label"] == one["predicted"]) - np.mean(other["label"] == other["predicted"])
        for one, other in ((a[a["fold"] == fold], b[b["fold"] == fold]) for fold in range(5))
    ]
    t = np.mean(differences) / math.sqrt((1 / 5 + 1 / 4) * np.var(differences, ddof=1))
    expected = 2 * stats.t.sf(abs(t), 4)
    assert compare(a, b).metrics["accuracy"].fold_p_value == pytest.approx(expected)


def test_seeds_of_one_recipe_rarely_differ(make_table: MakeTable) -> None:
    """Models whose luck is shared by all slides of a fold: a tenth of each fold's slides turn to a class of its own."""
    rejected = []
    for seed in range(150):
        base, rng = make_table(160, seed=seed, num_folds=5), np.random.default_rng(seed)
        pair = [_as_good(base, 2 * seed + run) for run in range(2)]
        for table in pair:
            biased = rng.random(len(table)) < 0.3
            favourite = np.asarray(CLASSES, object)[rng.integers(0, 3, 5)][table["fold"]]
            table.loc[biased, "predicted"] = favourite[biased]
        rejected.append([compare(*pair).metrics[name].p_value < 0.05 for name in ("macro_f1", "accuracy")])
    assert np.mean(rejected, axis=0).max() <= 0.065


def _difference(value: float, spread: Spread | None) -> MetricDifference:
    return MetricDifference(0.5 + value, 0.5, spread, None, 0.95, 0.03, 160)


def test_power_and_slides_needed_agree_with_the_noncentral_t() -> None:
    one = _difference(0.02, Spread(0.03**2, 0.4, 12.0))
    limit = stats.t.ppf(0.975, 12)
    expected = stats.nct.sf(limit, 12, 0.08 / 0.03) + stats.nct.cdf(-limit, 12, 0.08 / 0.03)
    assert one.power(0.08) == pytest.approx(expected)
    assert one.power(one.detectable) == pytest.approx(0.8, abs=1e-6)
    assert one.power(0.0) == pytest.approx(0.05, abs=1e-6)
    needed = one.slides_needed(0.03)
    larger = _difference(0.02, Spread(0.03**2 * 160 / needed, 0.4, 12.0))
    assert larger.power(0.03) == pytest.approx(0.8, abs=0.002)


def test_probabilities_are_those_of_students_t() -> None:
    one = _difference(0.02, Spread(0.03**2, None, 9.0))
    posterior = stats.t(9, 0.02, 0.03)
    assert one.probability_better(0.03) == pytest.approx(posterior.sf(0.03))
    assert one.probability_worse(0.03) == pytest.approx(posterior.cdf(-0.03))
    assert one.p_value == pytest.approx(2 * stats.t.sf(0.02 / 0.03, 9))


def test_all_right_against_all_wrong_is_not_certain(make_table: MakeTable) -> None:
    table = make_table(9)
    wrong = {"benign": "in situ", "in situ": "invasive", "invasive": "benign"}
    a, b = table.assign(predicted=table["label"]), table.assign(predicted=table["label"].map(wrong))
    accuracy = compare(a, b).metrics["accuracy"]
    assert accuracy.value == 1.0
    assert 0.0 < accuracy.difference.low < 0.7
    assert 0.0 < accuracy.p_value < 0.05
    alone = compare(a.assign(group="one"), b.assign(group="one")).metrics["accuracy"]
    assert (alone.difference.low, alone.p_value, alone.probability_better()) == (-1.0, None, None)


def test_adjusting_for_many_rows() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({}) == {}


def test_a_clear_row_of_a_hundred_stays_clear(make_table: MakeTable) -> None:
    strong, weak = make_table(300, skill=3.0, num_folds=5), make_table(300, skill=0.5, num_folds=5)
    p_value = compare(strong, weak).metrics["macro_f1"].p_value
    assert holm({"clear": p_value} | dict.fromkeys(range(100), 1.0))["clear"] < 0.05


def test_plain_data_has_every_figure(make_table: MakeTable) -> None:
    table = make_table(60)
    data = compare(table, _as_good(table, 0), margin=0.05).to_json()
    assert (data["num_slides"], data["margin"], data["num_runs"]) == (60, 0.05, (1, 1))
    row = data["metrics"]["macro_f1"]
    assert row["difference"]["low"] < row["difference"]["value"] < row["difference"]["high"]
    assert 0 < row["probability_a_better_by_margin"] + row["probability_b_better_by_margin"] < 1
    assert row["slides_needed_for_margin"] > 60


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
def test_other_slides_are_refused(
    make_table: MakeTable, change: Callable[[pd.DataFrame], pd.DataFrame], message: str
) -> None:
    table = make_table(30)
    with pytest.raises(UsageError, match=message):
        compare(table, change(table))


def test_nothing_to_compare(make_table: MakeTable) -> None:
    table = make_table(5).assign(label=None)
    with pytest.raises(UsageError, match="no labelled slide"):
        compare(table, table)
