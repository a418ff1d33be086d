"""Scores of one set of slides: values, notes, baselines, groups, and the same numbers for the same seed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as reference

from tests.evaluation.conftest import CLASSES, MakeTable
from tilewise.errors import ArtifactError
from tilewise.evaluation.config import EvaluationConfig
from tilewise.evaluation.guessing import commonest_predictions
from tilewise.evaluation.interval import Estimate
from tilewise.evaluation.resample import METRICS, draw_weights, statistics
from tilewise.evaluation.results import ConfusionMatrix, Scores
from tilewise.evaluation.sample import Sample
from tilewise.evaluation.scores import score

CONFIG = EvaluationConfig(num_resamples=300)


def test_values_are_those_of_sklearn(make_table: MakeTable) -> None:
    table = make_table(80)
    scores = score(Sample.of(table, CLASSES), CONFIG, seed=(0,))
    truth, predicted = table["label"], table["predicted"]
    assert scores.macro_f1.value == pytest.approx(reference.f1_score(truth, predicted, average="macro"))
    assert scores.weighted_f1.value == pytest.approx(reference.f1_score(truth, predicted, average="weighted"))
    assert scores.balanced_accuracy.value == pytest.approx(reference.balanced_accuracy_score(truth, predicted))
    assert scores.accuracy.value == pytest.approx(reference.accuracy_score(truth, predicted))
    columns = [f"p_{name}" for name in CLASSES]
    for _, fold in table.groupby("fold"):
        auroc = reference.roc_auc_score(fold["label"], fold[columns], multi_class="ovr", labels=list(CLASSES))
        alone = score(Sample.of(fold, CLASSES), CONFIG, seed=(0,))
        assert alone.auroc_macro.value == pytest.approx(auroc)
    # Pairs of slides that one model predicted, as many as each fold has of them.
    for name in CLASSES:
        wins, pairs = 0.0, 0
        for _, fold in table.groupby("fold"):
            is_own = fold["label"] == name
            num_pairs = is_own.sum() * (~is_own).sum()
            wins, pairs = wins + num_pairs * reference.roc_auc_score(is_own, fold[f"p_{name}"]), pairs + num_pairs
        assert scores.per_class[name].auroc.value == pytest.approx(wins / pairs)
    expected = reference.confusion_matrix(truth, predicted, labels=list(CLASSES))
    assert scores.confusion == ConfusionMatrix(CLASSES, tuple(map(tuple, expected.tolist())))
    per_class = reference.precision_recall_fscore_support(truth, predicted, labels=list(CLASSES))
    for index, name in enumerate(CLASSES):
        row = scores.per_class[name]
        scored = (row.precision.value, row.recall.value, row.f1.value, row.support)
        assert scored == pytest.approx(tuple(part[index] for part in per_class))


def test_same_seed_same_numbers_whatever_the_order_of_rows(make_table: MakeTable) -> None:
    table = make_table(50, num_groups=20)
    first = score(Sample.of(table, CLASSES), CONFIG, seed=(0,))
    assert score(Sample.of(table.sample(frac=1, random_state=1), CLASSES), CONFIG, seed=(0,)) == first
    assert score(Sample.of(table, CLASSES), CONFIG, seed=(1,)) != first


def test_resampling_whole_groups_widens_the_interval(make_table: MakeTable) -> None:
    table = make_table(40, skill=1.0)
    copies = pd.concat([table.assign(slide=table["slide"] + f"_{copy}") for copy in range(5)])
    alone = copies.assign(group=copies["slide"])
    by_group = score(Sample.of(copies, CLASSES), CONFIG, seed=(0,))
    by_slide = score(Sample.of(alone, CLASSES), CONFIG, seed=(0,))
    original = score(Sample.of(table, CLASSES), CONFIG, seed=(0,))
    assert by_group.interval.unit == "group"
    assert by_slide.interval.unit == "slide"
    assert (by_group.num_slides, by_group.num_groups) == (200, 40)
    assert by_group.macro_f1.value == pytest.approx(original.macro_f1.value)

    def width(scores: Scores) -> float:
        return scores.macro_f1.high - scores.macro_f1.low

    assert width(by_group) == pytest.approx(width(original), rel=0.15)
    assert width(by_slide) < 0.6 * width(by_group)


def test_resampled_metrics_are_those_of_the_resampled_slides(make_table: MakeTable) -> None:
    sample = Sample.of(make_table(30, num_groups=12), CLASSES)
    weights = draw_weights(sample.num_groups, 5, np.random.default_rng(0))
    assert (weights.sum(1) == sample.num_groups).all()
    scored = statistics(sample, weights)
    for row, weight in enumerate(weights):
        chosen = np.repeat(np.arange(30), weight[sample.group_N])
        truth, predicted = sample.truth_N[chosen], sample.predicted_N[chosen]
        assert scored.whole["macro_f1"][row] == pytest.approx(reference.f1_score(truth, predicted, average="macro"))
        assert scored.whole["accuracy"][row] == pytest.approx((truth == predicted).mean())
        for index in range(3):
            wins, pairs = 0.0, 0
            for fold in range(3):
                rows = chosen[sample.fold_N[chosen] == fold]
                is_own = sample.truth_N[rows] == index
                if num_pairs := is_own.sum() * (~is_own).sum():
                    pairs += num_pairs
                    wins += num_pairs * reference.roc_auc_score(is_own, sample.probabilities_NC[rows, index])
            assert scored.by_class["auroc"][row, index] == pytest.approx(wins / pairs)


def test_perfect_score_is_not_called_certain(make_table: MakeTable) -> None:
    scores = score(Sample.of(make_table(15, skill=50.0), CLASSES), CONFIG, seed=(0,))
    for name in METRICS:
        assert scores.estimate(name).value == 1.0
        assert scores.estimate(name).high == 1.0
        assert 0.5 < scores.estimate(name).low < 0.782  # Clopper-Pearson for 15 of 15
    assert any("Clopper-Pearson" in note for note in scores.notes)


def test_a_rare_class_is_not_hidden_by_common_ones() -> None:
    """All of 97 + 3 slides are right: errors in the rare class would hardly have shown."""
    truth = np.repeat([0, 1], [97, 3])
    names = tuple(f"{index:03d}" for index in range(100))
    probabilities = np.eye(2)[truth]
    sample = Sample(names, ("a", "b"), truth, truth, probabilities, np.zeros(100, int), np.arange(100))
    scores = score(sample, CONFIG, seed=(0,))
    of_three = 0.025 ** (1 / 3)
    for metric in ("recall", "precision", "f1", "auroc"):
        assert getattr(scores.per_class["b"], metric).low == pytest.approx(of_three)
    assert scores.per_class["a"].recall.low == pytest.approx(0.025 ** (1 / 97))
    for name in ("macro_f1", "balanced_accuracy", "auroc_macro"):
        assert scores.estimate(name).low == pytest.approx((1 + of_three) / 2)
    assert scores.accuracy.low == pytest.approx(0.025**0.01)


def test_one_group(make_table: MakeTable) -> None:
    scores = score(Sample.of(make_table(20, num_groups=1), CLASSES), CONFIG, seed=(0,))
    assert (scores.macro_f1.low, scores.macro_f1.high) == (0.0, 1.0)
    assert any("one group" in note for note in scores.notes)


def test_few_groups_and_rare_classes_are_named(make_table: MakeTable) -> None:
    table = make_table(30, num_groups=6)
    table = table[(table["label"] != "in situ") | (table.groupby("label").cumcount() < 2)]
    notes = score(Sample.of(table, CLASSES), CONFIG, seed=(0,)).notes
    assert any(note.startswith("Only 6 groups") for note in notes)
    assert any(note.startswith("Class in situ has 2 slides") for note in notes)
    without = score(Sample.of(table[table["label"] != "in situ"], CLASSES), CONFIG, seed=(0,))
    assert any(note.startswith("No slide of class in situ") for note in without.notes)
    assert without.per_class["in situ"].recall == Estimate(None, None, None)
    assert without.per_class["in situ"].support == 0


@pytest.mark.parametrize(("num_groups", "is_few"), [(29, True), (30, False)])
def test_fewer_than_thirty_groups_are_few(make_table: MakeTable, num_groups: int, is_few: bool) -> None:
    table = make_table(60).assign(group=[f"patient {index % num_groups}" for index in range(60)])
    notes = score(Sample.of(table, CLASSES), CONFIG, seed=(0,)).notes
    assert any(note.startswith("Only 29 groups: ") for note in notes) is is_few


def test_an_auroc_near_1_of_few_groups_has_an_interval_that_says_something() -> None:
    """Ten slides of five groups against twenty of ten, one pair the wrong way round."""
    truth = np.repeat([0, 1], [10, 20])
    own = np.r_[np.full(9, 0.9), 0.3, np.full(19, 0.1), 0.4]
    group = np.repeat(np.arange(15), 2)
    probabilities = np.stack([own, 1 - own], 1)
    names = tuple(f"{index:02d}" for index in range(30))
    sample = Sample(names, ("a", "b"), truth, probabilities.argmax(1), probabilities, np.zeros(30, int), group)
    for row in score(sample, EvaluationConfig(), seed=(0,)).per_class.values():
        assert row.auroc.value == pytest.approx(0.995)
        assert 0.5 < float(row.auroc.low or 0) < 0.95


def test_guessers_are_the_same_wherever_they_stand(make_table: MakeTable) -> None:
    table = make_table(45, num_groups=18)
    renamed = table.assign(slide=table["slide"].to_numpy()[::-1], group=None)
    first, other = (score(Sample.of(one, CLASSES), CONFIG, seed=(seed,)) for seed, one in enumerate((table, renamed)))
    assert first.macro_f1 != other.macro_f1
    assert first.baselines.random == other.baselines.random


def test_commonest_is_that_of_the_training_labels(make_table: MakeTable) -> None:
    sample = Sample.of(make_table(30, num_folds=2), CLASSES)
    counts = {0: {"benign": 1, "invasive": 9}, 1: {"in situ": 4, "invasive": 4}}
    guesses = commonest_predictions(sample, counts)
    assert set(guesses[sample.fold_N == 0]) == {2}
    assert set(guesses[sample.fold_N == 1]) == {1}  # of equals the first
    scored = score(sample, CONFIG, seed=(0,), training_counts=counts).baselines.commonest
    assert scored.accuracy.value == pytest.approx((guesses == sample.truth_N).mean())
    assert scored.macro_f1.value == pytest.approx(reference.f1_score(sample.truth_N, guesses, average="macro"))
    assert scored.macro_f1.low < scored.macro_f1.value < scored.macro_f1.high


def test_baselines_of_a_pooled_table(make_table: MakeTable) -> None:
    table = make_table(400, skill=0.0)
    scores = score(Sample.of(table, CLASSES), CONFIG, seed=(0,))
    share = table["label"].value_counts(normalize=True).max()
    assert scores.baselines.commonest.accuracy.value == pytest.approx(share)
    assert scores.baselines.commonest.balanced_accuracy.value == pytest.approx(1 / 3)
    assert scores.baselines.commonest.auroc_macro.value == pytest.approx(0.5)
    random = scores.baselines.random
    assert random.accuracy.value == pytest.approx(1 / 3, abs=0.01)
    assert random.auroc_macro.value == pytest.approx(0.5, abs=0.01)
    # the binomial range of 400 guesses
    assert random.accuracy.low == pytest.approx(1 / 3 - 1.96 * np.sqrt(2 / 9 / 400), abs=0.015)
    assert random.accuracy.high == pytest.approx(1 / 3 + 1.96 * np.sqrt(2 / 9 / 400), abs=0.015)


def test_missing_groups_are_groups_of_one(make_table: MakeTable) -> None:
    table = make_table(12)
    table["group"] = [None, float("nan"), pd.NA, *["x"] * 9]
    assert Sample.of(table, CLASSES).num_groups == 4
    table["group"] = ["slide_0001.png", None, *["x"] * 10]  # a group of another slide's name
    assert Sample.of(table, CLASSES).num_groups == 3


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("label", "odd", "slide_0004.png has the label 'odd'"),
        ("predicted", None, "slide_0004.png has the prediction None"),
        ("p_benign", float("nan"), "slide_0004.png has a probability that is no number"),
        ("slide", "slide_0003.png", "slide_0003.png was predicted twice"),
    ],
)
def test_faults_name_the_slide(make_table: MakeTable, column: str, value: object, message: str) -> None:
    table = make_table(9).astype({"label": object, "predicted": object})
    table.loc[4, column] = value
    with pytest.raises(ArtifactError, match=message):
        Sample.of(table, CLASSES)
