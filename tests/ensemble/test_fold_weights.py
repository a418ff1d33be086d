"""Weights of a run's folds."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.metrics import roc_auc_score

from tests.ensemble.made import CLASSES, make_folds, make_run, make_runs
from tilewise.ensemble.config import EnsembleConfig
from tilewise.ensemble.fold_weights import FoldScore, check_ensemble, fold_weights, pseudo_bma
from tilewise.errors import ArtifactError, FoldsError
from tilewise.folds import Fold, Folds
from tilewise.inference.predictions import Predictions
from tilewise.metrics import macro_f1

FITTED = EnsembleConfig(weights="fitted")


def one_run(skill_of_fold, num_slides=120):
    """A run whose models differ in skill from fold to fold."""
    truth = np.random.default_rng(0).integers(3, size=num_slides)
    folds = make_folds(truth, len(skill_of_fold))
    noise = np.random.default_rng(1).normal(size=(num_slides, 3))
    tables = []
    for number, skill in enumerate(skill_of_fold):
        logits = dict(zip((item.slide_id for item in folds.items), skill * np.eye(3)[truth] + noise, strict=True))
        table = make_run("r", folds, logits).predictions.table
        tables.append(Predictions(table[table["fold"] == number], CLASSES))
    return Predictions.join(tables), folds


@pytest.mark.parametrize(
    "asked", [{"members": "best"}, {"num_members": 2}, {"members": "best", "num_members": 0}, {"weights": "best"}]
)
def test_what_contradicts_itself_is_refused(asked):
    with pytest.raises(ValidationError):
        EnsembleConfig(**asked)


def test_by_default_every_model_counts_the_same_and_nothing_is_looked_at():
    predictions, folds = one_run((1.0, 1.0, 1.0))
    nothing = Predictions(predictions.table.iloc[:0], CLASSES)
    assert fold_weights(nothing, folds, EnsembleConfig()) == (1 / 3, 1 / 3, 1 / 3)


def test_the_best_are_those_with_the_highest_macro_f1_on_their_own_select():
    predictions, folds = one_run((0.1, 3.0, 2.5, 0.2), num_slides=240)
    fold_shares = fold_weights(predictions, folds, EnsembleConfig(members="best", num_members=2))
    assert fold_shares == (0.0, 0.5, 0.5, 0.0)


def test_select_score_weighs_by_macro_f1():
    predictions, folds = one_run((0.3, 2.0, 1.0))
    expected = []
    for number in range(3):
        rows = predictions.table[(predictions.table["fold"] == number) & (predictions.table["part"] == "validation")]
        truth, predicted = (
            np.array([CLASSES.index(name) for name in rows[column]]) for column in ("label", "predicted")
        )
        expected.append(macro_f1(truth, predicted, 3))
    fold_shares = fold_weights(predictions, folds, EnsembleConfig(weights="validation_score"))
    np.testing.assert_allclose(fold_shares, np.array(expected) / np.sum(expected), rtol=1e-12)


def test_the_score_is_of_the_metric_that_the_recipe_names():
    predictions, folds = one_run((0.3, 2.0, 1.0))
    expected = []
    for number in range(3):
        rows = predictions.table[(predictions.table["fold"] == number) & (predictions.table["part"] == "validation")]
        probabilities = rows[[f"p_{name}" for name in CLASSES]].to_numpy()
        expected.append(roc_auc_score(rows["label"], probabilities, multi_class="ovr", labels=list(CLASSES)))
    fold_shares = fold_weights(predictions, folds, EnsembleConfig(weights="validation_score"), metric="auroc_macro")
    np.testing.assert_allclose(fold_shares, np.array(expected) / np.sum(expected), rtol=1e-12)


def test_weights_do_not_depend_on_the_test_part_or_the_holdout():
    predictions, folds = one_run((0.3, 2.0, 1.0))
    table = predictions.table.copy()
    rows = table["part"] != "validation"
    table.loc[rows, "label"] = table.loc[rows, "label"].sample(frac=1.0, random_state=0).to_numpy()
    table.loc[rows, ["p_A", "p_B", "p_C"]] = [1.0, 0.0, 0.0]
    for config in (FITTED, EnsembleConfig(members="best", num_members=2, weights="validation_score")):
        assert fold_weights(predictions, folds, config) == fold_weights(Predictions(table, CLASSES), folds, config)


def test_a_model_that_is_surely_better_takes_nearly_all_and_equal_ones_share():
    sure, folds = one_run((0.0, 4.0, 0.0))
    assert fold_weights(sure, folds, FITTED)[1] > 0.95
    assert fold_weights(sure, folds, FITTED, seed=3) == fold_weights(sure, folds, FITTED, seed=3)


def test_luck_is_not_taken_for_skill():
    """Equal models: without pooling the luckiest of four would take more than half of the weight on average."""
    rng = np.random.default_rng(0)
    largest = []
    for _ in range(60):
        scores = [FoldScore(0.5, rng.normal(-1.0, 0.6, 100), np.ones(100)) for _ in range(4)]
        largest.append(pseudo_bma(scores, seed=0).max())
    assert np.median(largest) == pytest.approx(0.25), "mostly there is nothing beyond chance"
    assert np.mean(largest) < 0.45


def test_pseudo_bma_is_the_softmax_of_the_sums_where_nothing_is_chance():
    scores = [FoldScore(0.5, np.full(10, value), np.ones(10)) for value in (-1.0, -1.1, -1.3)]
    elpd = 10 * np.array([-1.0, -1.1, -1.3])
    np.testing.assert_allclose(pseudo_bma(scores, seed=0), np.exp(elpd) / np.exp(elpd).sum(), rtol=1e-4)


def test_a_group_counts_as_one_however_many_slides_it_has():
    values = np.array([-0.2, -2.0, -0.7, -1.4])
    single = FoldScore(0.5, values, np.ones(4))
    double = FoldScore(0.5, 2 * values, np.full(4, 2.0))
    assert double.mean_log_score == pytest.approx(single.mean_log_score)
    assert double.variance == pytest.approx(single.variance)
    assert single.variance == pytest.approx(values.var(ddof=1) / 4)


def test_a_select_part_of_one_group_says_nothing():
    lone = FoldScore(0.9, np.array([-0.01]), np.ones(1))
    rest = [FoldScore(0.5, np.random.default_rng(seed).normal(-1.0, 0.5, 30), np.ones(30)) for seed in range(2)]
    assert pseudo_bma([lone, *rest], seed=0)[0] < 0.5


@given(
    seed=st.integers(0, 50),
    members=st.sampled_from(["all", "best"]),
    weights=st.sampled_from(["equal", "validation_score", "fitted"]),
)
def test_weights_are_shares_and_as_many_as_were_asked_for(seed, members, weights):
    (run,) = make_runs([0.8], num_folds=4, num_slides=48, seed=seed)
    config = EnsembleConfig(members=members, num_members=2 if members == "best" else None, weights=weights)
    fold_shares = fold_weights(run.predictions, run.folds, config)
    assert sum(fold_shares) == pytest.approx(1.0)
    assert min(fold_shares) >= 0.0
    assert sum(weight > 0.0 for weight in fold_shares) <= (2 if members == "best" else 4)


def test_what_the_folds_cannot_give_is_refused_before_training():
    folds = make_folds(np.arange(12) % 3)
    with pytest.raises(FoldsError, match="num_members=4"):
        check_ensemble(folds, EnsembleConfig(members="best", num_members=4))
    bare = Folds((Fold(("s000",), (), ("s001",)),), (), (), folds.items[:2], {})
    check_ensemble(bare, EnsembleConfig())
    with pytest.raises(FoldsError, match="fold 0 has no validation part"):
        check_ensemble(bare, FITTED)


def test_predictions_without_select_rows_are_named():
    (run,) = make_runs([1.0])
    table = run.predictions.table
    lacking = replace(run.predictions, table=table[(table["part"] != "validation") | (table["fold"] != 1)])
    with pytest.raises(ArtifactError, match="fold 1"):
        fold_weights(lacking, run.folds, FITTED)
