"""Net benefit against the formula of Vickers and Elkin by scikit-learn's confusion matrix."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix

from tests.evaluation.conftest import MakeTable
from tilewise.evaluation.config import EvaluationConfig
from tilewise.evaluation.evaluate_predictions import evaluate
from tilewise.evaluation.evaluation import Evaluation
from tilewise.evaluation.net_benefit import net_benefit
from tilewise.evaluation.sample import Sample
from tilewise.inference.predictions import Predictions
from tilewise.reporting.decision_curve import decision_curves

TWO = ("benign", "invasive")
CONFIG = EvaluationConfig(num_resamples=300)


def table_of(make_table: MakeTable, skill: float = 2.0, num_slides: int = 120) -> pd.DataFrame:
    """Of which about a third is invasive."""
    table = make_table(num_slides, skill=skill, num_groups=num_slides * 2 // 3, classes=TWO)
    gone = (table["label"] == "invasive") & (np.arange(num_slides) % 2 == 0)
    return table[~gone]


@pytest.mark.parametrize(
    ("classes", "positive"),
    [
        (("oscc", "normal"), "oscc"),  # of which the first is the commoner
        (("Tumour", "Non-Tumour"), "Tumour"),
        (("low grade", "high grade"), "high grade"),
        (("no", "notable"), "notable"),
        (("normal", "benign"), "benign"),
    ],
)
def test_what_is_acted_on_is_the_disease_where_names_tell_and_else_the_rarer(
    make_table: MakeTable, classes: tuple[str, str], positive: str
) -> None:
    table = make_table(60, skill=2.0, num_groups=60, classes=classes)
    table = table[(table["label"] == classes[0]) | (np.arange(60) % 2 == 0)]
    assert evaluate(table, classes, CONFIG, seed=0).net_benefit["out_of_fold"].positive == positive


def test_every_threshold_by_the_confusion_matrix(make_table: MakeTable) -> None:
    table = table_of(make_table)
    evaluation = evaluate(table, TWO, CONFIG, seed=0)
    rows = Predictions(table, TWO).calibrated().table
    curve, labels = evaluation.net_benefit["out_of_fold"], rows["label"] == "invasive"
    assert (curve.positive, curve.share) == ("invasive", pytest.approx(labels.mean()))
    assert len(curve.points) == 19
    for point in curve.points:
        acted = rows["calibrated_invasive"] >= point.threshold
        _, false_positive, _, true_positive = confusion_matrix(labels, acted, labels=[False, True]).ravel()
        odds = point.threshold / (1 - point.threshold)
        assert point.model.value == pytest.approx((true_positive - false_positive * odds) / len(rows))
        assert point.treat_all == pytest.approx(labels.mean() - (1 - labels.mean()) * odds)
        assert point.gain.value == pytest.approx(point.model.value - max(0.0, point.treat_all))


def test_probabilities_that_are_certain_gain_the_share_and_noise_gains_nothing(make_table: MakeTable) -> None:
    sample = Sample.of(table_of(make_table), TWO)
    certain = net_benefit(sample, np.eye(2)[sample.truth_N], CONFIG, seed=(0,))
    assert certain is not None
    assert [point.model.value for point in certain.points] == pytest.approx([certain.share] * 19)
    constant = np.tile([0.65, 0.35], (len(sample.slides), 1))
    same = net_benefit(sample, constant, CONFIG, seed=(0,))
    assert same is not None
    for point in same.points:
        expected = point.treat_all if point.threshold <= 0.35 else 0.0
        assert point.model.value == pytest.approx(expected)
        assert (point.gain.value or 0.0) <= 1e-12


def test_intervals_are_over_groups(make_table: MakeTable) -> None:
    """Each group twice over: the same figures and the same intervals, as there are no more groups."""
    table = table_of(make_table)
    again = pd.concat([table, table.assign(slide="again_" + table["slide"])])
    samples = [Sample.of(one, TWO) for one in (table.sort_values("group"), again.sort_values("group"))]
    once, twice = (net_benefit(one, one.probabilities_NC, CONFIG, seed=(0,)) for one in samples)
    assert once is not None
    assert twice is not None
    widths = [[p.model.high - p.model.low for p in curve.points if p.model.high is not None] for curve in (once, twice)]
    assert widths[1] == pytest.approx(widths[0], rel=0.2)
    assert [p.model.value for p in twice.points] == pytest.approx([p.model.value for p in once.points])


def test_three_classes_have_none_and_nothing_in_the_file(make_table: MakeTable, tmp_path: Path) -> None:
    evaluation = evaluate(make_table(60), ("benign", "in situ", "invasive"), CONFIG, seed=0)
    assert evaluation.net_benefit == {}
    assert "net_benefit" not in evaluation.to_json()
    two = evaluate(table_of(make_table), TWO, CONFIG, seed=0)
    two.write(tmp_path / "evaluation.json")
    assert Evaluation.read(tmp_path / "evaluation.json") == two


@pytest.mark.parametrize(
    ("skill", "words"), [(4.0, "is better than acting on every slide and on none"), (0.0, "annot")]
)
def test_the_report_says_where_the_classifier_is_of_use(make_table: MakeTable, skill: float, words: str) -> None:
    evaluation = evaluate(table_of(make_table, skill), TWO, CONFIG, seed=0)
    (curve,) = decision_curves(json.loads(json.dumps(evaluation.to_json())))
    assert words in curve.sentence or (skill == 0.0 and "at no threshold" in curve.sentence)
    assert [round(point["threshold"], 2) for point in curve.points] == [n / 10 for n in range(1, 10)]
    assert str(curve.chart).count("<title>") == 20
