import numpy as np
import pytest
from scipy.special import logit
from sklearn.metrics import accuracy_score, f1_score

from tests.evaluation.conftest import CLASSES
from tilewise.evaluation.config import EvaluationConfig
from tilewise.evaluation.subgroups import by_group, score_subgroups

CONFIG = EvaluationConfig(num_resamples=300)


def test_each_value_of_each_column_is_scored_by_itself(make_table):
    table = make_table(90, num_groups=30)
    sites = dict(zip(table["slide"], ["north"] * 50 + ["south"] * 40, strict=True))
    scanner = dict(zip(table["slide"].iloc[:10], ["old"] * 10, strict=True))
    rows = score_subgroups(table, CLASSES, {"site": sites, "scanner": scanner}, CONFIG, seed=0, training_share={})
    assert [(row.column, row.value, row.num_slides) for row in rows] == [
        ("site", "north", 50),
        ("site", "south", 40),
        ("scanner", "old", 10),
    ]
    south = table.iloc[50:]
    assert rows[1].accuracy.value == pytest.approx(accuracy_score(south["label"], south["predicted"]))
    assert rows[1].score.value == pytest.approx(f1_score(south["label"], south["predicted"], average="macro"))
    assert rows[1].num_groups == south["group"].nunique()
    assert rows[2].accuracy.high - rows[2].accuracy.low > rows[0].accuracy.high - rows[0].accuracy.low


def test_a_group_gets_the_mean_of_its_slides(make_table):
    table = make_table(60, num_groups=20)
    label_of = dict(zip(table["group"], table["label"], strict=True))
    table["label"] = table["group"].map(label_of)
    table.loc[0, "group"] = None
    groups = by_group(table, CLASSES)
    assert set(groups["slide"]) == set(table["group"].dropna()) | {table["slide"][0]}
    name = table["group"][5]
    own = table[table["group"] == name]
    names = [f"p_{label}" for label in CLASSES]
    row = groups.set_index("slide").loc[name]
    assert row[names].astype(float).to_numpy() == pytest.approx(own[names].mean().to_numpy())
    assert row["predicted"] == CLASSES[int(np.argmax(own[names].mean()))]
    assert row["label"] == label_of[name]


def test_a_group_of_several_labels_is_left_out(make_table):
    table = make_table(12, num_groups=12)
    table["group"] = [f"g{number // 2}" for number in range(12)]
    table["label"] = [CLASSES[0], CLASSES[1]] + [CLASSES[0]] * 10
    assert by_group(table, CLASSES)["slide"].tolist() == ["g1", "g2", "g3", "g4", "g5"]


def test_intervals_are_as_wide_as_those_of_all_slides_are(make_table):
    """With training's share as all slides have it; on the logit scale the standard error grows by sqrt(1 + share)."""
    table = make_table(90, num_groups=30)
    sites = {"site": dict.fromkeys(table["slide"], "north")}
    (fixed,), (recipe,) = (
        score_subgroups(table, CLASSES, sites, CONFIG, seed=0, training_share=share)
        for share in ({}, {"macro_f1": 0.44, "accuracy": 0.44})
    )
    for one, two in ((fixed.score, recipe.score), (fixed.accuracy, recipe.accuracy)):
        reach_one, reach_two = (logit(score.high) - logit(score.value) for score in (one, two))
        assert two.value == one.value
        assert reach_two == pytest.approx(1.2 * reach_one)
