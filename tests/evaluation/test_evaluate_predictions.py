"""The evaluation of a whole run and its file."""

from __future__ import annotations

import json
import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.special

from tests.evaluation.conftest import CLASSES, MakeTable
from tilewise.auditing.table import TableFacts
from tilewise.errors import ArtifactError
from tilewise.evaluation.config import EvaluationConfig
from tilewise.evaluation.evaluate_predictions import count_training, evaluate, evaluate_predictions
from tilewise.evaluation.evaluation import Evaluation
from tilewise.evaluation.interval import Estimate
from tilewise.evaluation.resample import METRICS
from tilewise.evaluation.results import FoldMean
from tilewise.evaluation.sample import Sample
from tilewise.evaluation.scores import score
from tilewise.folds import FoldItem, Folds, FoldsConfig, make_folds
from tilewise.store import write_json

CONFIG = EvaluationConfig(num_resamples=200)


def _with_holdout(make_table: MakeTable) -> pd.DataFrame:
    tests, outside = make_table(60), make_table(20, seed=1)
    outside = outside.assign(slide="outer_" + outside["slide"], part="holdout", fold=-1)
    validation = tests.assign(part="validation", predicted="benign", fold=(tests["fold"] + 1) % 3)
    unlabelled = tests.iloc[:3].assign(slide=["a", "b", "c"], label=None)
    return pd.concat([tests, validation, outside, unlabelled], ignore_index=True)


def test_parts_are_scored_apart(make_table: MakeTable) -> None:
    evaluation = evaluate(_with_holdout(make_table), CLASSES, CONFIG, seed=0)
    assert evaluation.out_of_fold.num_slides == 60
    assert [scores.num_slides for scores in evaluation.folds] == [20, 20, 20]
    assert evaluation.holdout is not None
    assert evaluation.holdout.num_slides == 20
    inner = _with_holdout(make_table).query("part != 'holdout'")
    alone = evaluate(inner, CLASSES, CONFIG, seed=0)
    assert alone.out_of_fold == evaluation.out_of_fold
    assert alone.holdout is None
    assert "holdout" not in alone.to_json()


def test_intervals_out_of_fold_are_about_the_recipe_and_others_about_the_models(make_table: MakeTable) -> None:
    evaluation = evaluate(_with_holdout(make_table), CLASSES, CONFIG, seed=0)
    pooled = evaluation.out_of_fold
    assert pooled.interval.question == "recipe"
    assert set(pooled.interval.training_share) == set(METRICS)
    assert {scores.interval.question for scores in (*evaluation.folds, evaluation.holdout)} == {"models"}
    models = score(Sample.of(make_table(60), CLASSES), CONFIG, seed=(0, 0))
    assert models.interval.question == "models"
    for name in METRICS:
        ours, theirs = pooled.estimate(name), models.estimate(name)
        assert ours.value == theirs.value
        widening = np.sqrt(1.0 + pooled.interval.training_share[name])
        assert 1.0 <= widening <= np.sqrt(2.0)
        reach = scipy.special.logit(theirs.high) - scipy.special.logit(theirs.value)
        assert scipy.special.logit(ours.high) - scipy.special.logit(ours.value) == pytest.approx(widening * reach)
    assert pooled.interval.training_share["macro_f1"] > 0.1  # labels differ in the fixture
    assert pooled.interval.training_share["auroc_macro"] < 0.1  # probabilities do not
    one_fold = evaluate(make_table(60, num_folds=1), CLASSES, CONFIG, seed=0)
    assert one_fold.out_of_fold.interval.question == "models"


def test_without_validation_parts_intervals_are_as_wide_as_of_noise(make_table: MakeTable) -> None:
    pooled = evaluate(make_table(60), CLASSES, CONFIG, seed=0).out_of_fold
    assert set(pooled.interval.training_share.values()) == {1.0}
    assert any(note.startswith("No slide is in a test and in a validation part of models") for note in pooled.notes)


def test_slides_with_the_highest_loss_come_first(make_table: MakeTable, tmp_path: Path) -> None:
    table = _with_holdout(make_table)
    evaluation = evaluate(table, CLASSES, EvaluationConfig(metric="weighted_f1", num_resamples=200), seed=0)
    scored = table[table["part"].isin(["test", "holdout"]) & table["label"].notna()]
    losses = -np.log([row[f"p_{row['label']}"] for row in scored.to_dict("records")])
    expected = sorted(zip(-losses, scored["slide"], strict=True))[:50]
    assert [(row.slide, -row.log_loss) for row in evaluation.highest_losses] == [
        (name, pytest.approx(loss)) for loss, name in expected
    ]
    pooled = evaluation.out_of_fold
    tests = (scored["part"] == "test").to_numpy()
    assert pooled.log_loss == pytest.approx(losses[tests].mean())
    for name in CLASSES:
        own = tests & (scored["label"] == name).to_numpy()
        assert pooled.per_class[name].log_loss == pytest.approx(losses[own].mean())
    evaluation.write(tmp_path / "evaluation.json")
    again = Evaluation.read(tmp_path / "evaluation.json")
    assert (again.metric, again.highest_losses) == ("weighted_f1", evaluation.highest_losses)


def test_fold_mean(make_table: MakeTable) -> None:
    evaluation = evaluate(make_table(60), CLASSES, CONFIG, seed=0)
    values = [scores.macro_f1.value for scores in evaluation.folds]
    assert evaluation.fold_mean["macro_f1"] == FoldMean(
        mean=pytest.approx(statistics.mean(values)), std=pytest.approx(statistics.stdev(values)), num_folds=3
    )
    single = evaluate(make_table(20, num_folds=1), CLASSES, CONFIG, seed=0).fold_mean
    assert single["accuracy"].std is None
    assert single["accuracy"].num_folds == 1


def test_a_fold_where_a_metric_is_not_defined_is_passed_over(make_table: MakeTable) -> None:
    table = make_table(40, num_folds=2)
    one_class = table[(table["fold"] == 0) | (table["label"] == "benign")]
    evaluation = evaluate(one_class, CLASSES, CONFIG, seed=0)
    assert evaluation.folds[1].auroc_macro.value is None
    assert evaluation.fold_mean["auroc_macro"].num_folds == 1
    assert evaluation.fold_mean["accuracy"].num_folds == 2


def test_file_round_trip(make_table: MakeTable, tmp_path: Path) -> None:
    evaluation = evaluate(_with_holdout(make_table), CLASSES, CONFIG, seed=0)
    evaluation.write(tmp_path / "evaluation.json")
    assert Evaluation.read(tmp_path / "evaluation.json") == evaluation
    data = json.loads((tmp_path / "evaluation.json").read_text())
    assert data["schema"] == "tilewise.evaluation"
    assert data["per_class"] == data["out_of_fold"]["per_class"]
    assert data["baselines"].keys() == {"commonest", "random"}
    for scores in (data["out_of_fold"], data["holdout"], *data["folds"]):
        for name in METRICS:
            assert scores[name].keys() == {"value", "low", "high"}
    first = (tmp_path / "evaluation.json").read_bytes()
    evaluate(_with_holdout(make_table), CLASSES, CONFIG, seed=0).write(tmp_path / "evaluation.json")
    assert (tmp_path / "evaluation.json").read_bytes() == first


def test_headline_scores_are_those_out_of_fold(make_table: MakeTable) -> None:
    evaluation = evaluate(make_table(60), CLASSES, EvaluationConfig(metric="weighted_f1", num_resamples=200), seed=0)
    for name in ("macro_f1", "weighted_f1", "balanced_accuracy", "accuracy", "auroc_macro"):
        assert getattr(evaluation, name) is evaluation.out_of_fold.estimate(name)
    assert evaluation.primary is evaluation.weighted_f1
    value, low, high = (getattr(evaluation.macro_f1, end) for end in ("value", "low", "high"))
    assert str(evaluation.macro_f1) == f"{value:.2f} ({low:.2f} to {high:.2f})"
    assert str(Estimate(None, None, None)) == "not defined"


def test_a_file_with_a_part_missing(tmp_path: Path, make_table: MakeTable) -> None:
    path = tmp_path / "evaluation.json"
    plain = evaluate(make_table(20), CLASSES, CONFIG, seed=0).to_json()
    del plain["fold_mean"]
    write_json(path, plain, schema="tilewise.evaluation", version=1)
    with pytest.raises(ArtifactError, match=r"not a whole evaluation.*fold_mean.*tilewise evaluate"):
        Evaluation.read(path)


def test_no_test_slide(make_table: MakeTable) -> None:
    with pytest.raises(ArtifactError, match="no labelled slide of a test part"):
        evaluate(make_table(20).assign(part="validation"), CLASSES, CONFIG, seed=0)


def test_training_labels_come_from_the_folds(make_table: MakeTable, tmp_path: Path) -> None:
    table = make_table(60)
    items = [FoldItem(row.slide, row.label, row.group) for row in table.itertuples()]
    folds = make_folds(items, FoldsConfig(num_folds=3), seed=0)
    where = {slide: number for number, fold in enumerate(folds.folds) for slide in fold.test}
    table["fold"] = table["slide"].map(where)
    counts = count_training(folds)
    assert {number: sum(count.values()) for number, count in counts.items()} == _expected_sizes(folds)
    evaluation = evaluate_predictions(
        table, folds, CONFIG, classes=folds.classes, seed=0, out=tmp_path / "evaluation.json"
    )
    assert evaluation == evaluate(table, folds.classes, CONFIG, seed=0, training_counts=counts)
    assert Evaluation.read(tmp_path / "evaluation.json") == evaluation


def _expected_sizes(folds: Folds) -> dict[int, int]:
    union = {slide for fold in folds.folds for slide in fold.train}
    return {number: len(fold.train) for number, fold in enumerate(folds.folds)} | {-1: len(union)}


def test_where_labels_were_changed_the_table_s_own_are_scored_too(make_table):
    table = make_table(60)
    items = tuple(FoldItem(row.slide, row.label, row.group) for row in table.itertuples())
    folds = make_folds(items, FoldsConfig(num_folds=3), seed=0)
    wrong = table[table["label"] != table["predicted"]].head(8)
    improved = table.copy()
    improved.loc[wrong.index, "label"] = wrong["predicted"]  # as a model advises
    options = {"classes": CLASSES, "seed": 0}
    config = EvaluationConfig(num_resamples=200)
    before = evaluate_predictions(table, folds, config, **options)
    relabelled = dict(zip(wrong["slide"], wrong["label"], strict=True))
    after = evaluate_predictions(improved, folds, config, facts=TableFacts(relabelled), **options)
    assert before.original_labels is None
    assert after.macro_f1.value > before.macro_f1.value + 0.05
    assert after.original_labels == replace(before.out_of_fold, notes=after.original_labels.notes)


def test_groups_of_several_slides_are_scored_as_one_and_columns_value_by_value(make_table):
    table = make_table(60, num_groups=20)
    table["label"] = table["group"].map(dict(zip(table["group"], table["label"], strict=True)))
    folds = make_folds(
        [FoldItem(row.slide, row.label, row.group) for row in table.itertuples()], FoldsConfig(num_folds=3), seed=0
    )
    sites = dict(zip(table["slide"], ["north", "south"] * 30, strict=True))
    facts = TableFacts(columns={"site": sites})
    config = EvaluationConfig(num_resamples=200)
    evaluation = evaluate_predictions(table, folds, config, classes=CLASSES, seed=0, facts=facts)
    assert evaluation.by_group.num_slides == table["group"].nunique()
    assert [(row.value, row.num_slides) for row in evaluation.subgroups] == [("north", 30), ("south", 30)]
    mixed = evaluate_predictions(make_table(60, num_groups=20), folds, config, classes=CLASSES, seed=0)
    assert mixed.by_group is None
    alone = evaluate_predictions(table.assign(group=table["slide"]), folds, config, classes=CLASSES, seed=0)
    assert alone.by_group is None
    assert alone.subgroups == ()
