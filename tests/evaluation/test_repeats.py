"""Scores of repeated cross-validation, against scikit-learn and formulas by hand."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, log_loss, recall_score

from tests.evaluation.conftest import CLASSES, MakeTable
from tilewise.errors import ArtifactError
from tilewise.evaluation.config import EvaluationConfig
from tilewise.evaluation.evaluate_predictions import evaluate
from tilewise.evaluation.evaluation import Evaluation
from tilewise.evaluation.interval import standard_error
from tilewise.evaluation.resample import draw_weights, statistics
from tilewise.evaluation.sample import Sample
from tilewise.evaluation.training_share import training_share
from tilewise.inference.predictions import Predictions

CONFIG = EvaluationConfig(num_resamples=200)
COLUMNS = [f"p_{name}" for name in CLASSES]


def repeated(make_table: MakeTable, num_slides: int = 60, num_repeats: int = 3, num_folds: int = 3) -> pd.DataFrame:
    """The same slides and groups, cut and predicted anew in each repeat."""
    first = make_table(num_slides, num_groups=num_slides // 2, num_folds=num_folds)
    groups = first["group"].str.split().str[1].astype(int)
    tables = [first.assign(repeat=0)]
    for repeat in range(1, num_repeats):
        second = make_table(num_slides, seed=0)
        rng = np.random.default_rng(repeat)
        logits = np.log(second[COLUMNS].to_numpy()) + rng.normal(scale=0.8, size=(num_slides, len(CLASSES)))
        probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        fold = rng.permutation(num_slides)[groups] % num_folds + repeat * num_folds
        table = first.assign(fold=fold, repeat=repeat, predicted=np.asarray(CLASSES, object)[probabilities.argmax(1)])
        table[COLUMNS] = probabilities
        tables.append(table)
    return pd.concat(tables, ignore_index=True).sample(frac=1.0, random_state=0, ignore_index=True)


def score_of(table: pd.DataFrame, average: str = "macro") -> float:
    return float(f1_score(table["label"], table["predicted"], average=average, labels=CLASSES, zero_division=0.0))


def test_scores_are_means_over_repeats(make_table: MakeTable) -> None:
    table = repeated(make_table)
    evaluation = evaluate(table, CLASSES, CONFIG, seed=0)
    scores, tables = evaluation.out_of_fold, [rows for _, rows in table.groupby("repeat")]
    assert scores.macro_f1.value == pytest.approx(np.mean([score_of(rows) for rows in tables]))
    assert scores.weighted_f1.value == pytest.approx(np.mean([score_of(rows, "weighted") for rows in tables]))
    losses = [log_loss(rows["label"], rows[COLUMNS], labels=CLASSES) for rows in tables]
    assert scores.log_loss == pytest.approx(np.mean(losses))
    recalls = [recall_score(rows["label"], rows["predicted"], average=None, labels=CLASSES) for rows in tables]
    by_class = [scores.per_class[name].recall.value for name in CLASSES]
    assert by_class == pytest.approx(np.mean(recalls, axis=0).tolist())
    assert (scores.num_slides, scores.num_groups) == (60, table["group"].nunique())
    assert [scores.per_class[name].support for name in CLASSES] == [
        int((tables[0]["label"] == c).sum()) for c in CLASSES
    ]
    assert sum(map(sum, scores.confusion.counts)) == 180
    assert len(evaluation.folds) == 9
    assert any("Folds were cut 3 times" in note for note in scores.notes)


def test_a_group_is_drawn_with_the_rows_of_all_repeats(make_table: MakeTable) -> None:
    """Each resample by hand: rows of a group as often as it was drawn, and the mean over repeats of scikit-learn's."""
    table = repeated(make_table)
    sample = Sample.of(table, CLASSES)
    weights_RG = draw_weights(sample.num_groups, 5, np.random.default_rng(1))
    resampled = statistics(sample, weights_RG).whole["macro_f1"]
    rows = table.sort_values("slide", kind="stable").assign(index=sample.group_N)
    for weights_G, value in zip(weights_RG, resampled, strict=True):
        drawn = rows.loc[rows.index.repeat(weights_G[rows["index"]])]
        assert value == pytest.approx(np.mean([score_of(one) for _, one in drawn.groupby("repeat")]))


def test_one_repeat_is_as_none(make_table: MakeTable) -> None:
    table = make_table(60, num_groups=30)
    alone, numbered = (evaluate(one, CLASSES, CONFIG, seed=0) for one in (table, table.assign(repeat=0)))
    assert alone == numbered


def test_repeats_alike_say_no_more_than_one(make_table: MakeTable) -> None:
    """The same predictions by other models are no more slides, and training adds nothing to their variance."""
    table = make_table(60, num_groups=30, num_folds=3)
    group = table["group"].str.split().str[1].astype(int)
    cuts = [np.random.default_rng(number).permutation(60)[group] % 3 + 3 * number for number in (1, 2)]
    thrice = pd.concat([table.assign(repeat=0), *(table.assign(repeat=1 + i, fold=cut) for i, cut in enumerate(cuts))])
    sample, one = Sample.of(thrice, CLASSES), Sample.of(table, CLASSES)
    weights_RG = draw_weights(one.num_groups, 50, np.random.default_rng(0))
    assert statistics(sample, weights_RG).whole["macro_f1"] == pytest.approx(
        statistics(one, weights_RG).whole["macro_f1"]
    )
    assert max(training_share(sample, []).whole.values()) == pytest.approx(0.0, abs=1e-12)
    of_three, of_one = (evaluate(rows, CLASSES, CONFIG, seed=0).calibration["out_of_fold"] for rows in (thrice, table))
    assert tuple(of_three.scores.chance_ece) == pytest.approx(tuple(of_one.scores.chance_ece))
    assert tuple(of_three.scores.brier) == pytest.approx(tuple(of_one.scores.brier))


def test_training_share_of_accuracy_by_hand(make_table: MakeTable) -> None:
    """Of slides that are groups of one: the variance between repeats, drawn apart by the slides that models share."""
    table = repeated(make_table, num_folds=5)
    table["group"] = table["slide"]
    right_RS = (table["label"] == table["predicted"]).groupby([table["repeat"], table["slide"]]).first().unstack()
    fold_RS = table.set_index(["repeat", "slide"])["fold"].unstack()
    right, fold = right_RS.to_numpy(float), fold_RS.to_numpy()
    between = right.var(axis=0, ddof=1).mean()
    overlaps = []
    for one, other in ((0, 1), (0, 2), (1, 2)):
        for slide in range(60):
            learnt, also = fold[one] != fold[one, slide], fold[other] != fold[other, slide]
            overlaps.append((learnt & also).sum() / np.sqrt(learnt.sum() * also.sum()))
    separate = between / np.sqrt(1.0 - np.mean(overlaps))
    expected = (separate - between * 2 / 3) / right.mean(axis=0).var(ddof=1)
    share = training_share(Sample.of(table, CLASSES), [])
    assert 0.05 < expected < 1.0
    assert share.whole["accuracy"] == pytest.approx(expected, rel=1e-3)
    assert share.is_measured


def test_cuts_that_are_alike_measure_nothing(make_table: MakeTable) -> None:
    table = make_table(30, num_folds=3)
    twice = pd.concat([table.assign(repeat=0), table.assign(repeat=1, fold=table["fold"] + 3)])
    share = training_share(Sample.of(twice, CLASSES), [])
    assert set(share.whole.values()) == {1.0}
    assert not share.is_measured


def test_the_interval_is_that_of_resamples_widened_by_the_share(make_table: MakeTable) -> None:
    table = repeated(make_table)
    evaluation = evaluate(table, CLASSES, CONFIG, seed=7)
    sample, score = Sample.of(table, CLASSES), evaluation.out_of_fold
    weights_RG = draw_weights(sample.num_groups, CONFIG.num_resamples, np.random.default_rng((7, 0)))
    error = standard_error(statistics(sample, weights_RG).whole["macro_f1"], sample.num_groups) or 0.0
    share = score.interval.training_share["macro_f1"]
    value, low, high = (float(x or 0.0) for x in score.macro_f1)
    reach = np.log(high / (1 - high)) - np.log(value / (1 - value))
    from scipy.stats import t

    expected = t.ppf(0.975, sample.num_groups - 1) * error * np.sqrt(1 + share) / (value * (1 - value))
    assert reach == pytest.approx(expected)
    assert low < value


def test_slides_seen_singly_are_means_over_repeats(make_table: MakeTable) -> None:
    table = repeated(make_table)
    means = table.groupby("slide")[COLUMNS].mean()
    evaluation = evaluate(table, CLASSES, CONFIG, seed=0)
    losses = {row.slide: row.label_probability for row in evaluation.highest_losses}
    labels = table.drop_duplicates("slide").set_index("slide")["label"]
    assert losses == pytest.approx({slide: means.loc[slide, f"p_{labels[slide]}"] for slide in losses})
    assert sum(entry.num_slides for entry in evaluation.calibration["out_of_fold"].scores.bins) == 60
    per_slide = Predictions(table, CLASSES).calibrated().per_slide.table.set_index("slide")
    assert len(per_slide) == 60
    assert "repeat" not in per_slide
    pd.testing.assert_frame_equal(per_slide[COLUMNS].sort_index(), means)
    assert (per_slide["predicted"].sort_index() == means.idxmax(axis=1).str[2:]).all()


def test_no_row_of_a_slide_or_its_group_has_a_part_in_its_calibration(make_table: MakeTable) -> None:
    """Another label of one group changes what every other group is calibrated by, and its own in no repeat."""
    table = repeated(make_table)
    group = table["group"].iloc[0]
    own = table["group"] == group
    other = table.assign(label=table["label"].where(~own, CLASSES[0]))
    other.loc[own & (table["label"] == CLASSES[0]), "label"] = CLASSES[1]
    names = [f"calibrated_{name}" for name in CLASSES]
    before, after = (Predictions(one, CLASSES).calibrated() for one in (table, other))
    for one, two in ((before.table, after.table), (before.per_slide.table, after.per_slide.table)):
        same = np.isclose(one[names], two[names], rtol=0, atol=1e-12).all(axis=1)
        assert same[one["group"] == group].all()
        assert not same.all()


def test_by_group_takes_each_repeat_by_itself(make_table: MakeTable) -> None:
    table = repeated(make_table)
    label_of = table.groupby("group")["label"].first()
    table["label"] = table["group"].map(label_of)
    scores = evaluate(table, CLASSES, CONFIG, seed=0).by_group
    assert scores is not None
    by_repeat = []
    for _, rows in table.groupby("repeat"):
        predicted = rows.groupby("group")[COLUMNS].mean().idxmax(axis=1).str[2:]
        by_repeat.append(f1_score(label_of[predicted.index], predicted, average="macro"))
    assert scores.macro_f1.value == pytest.approx(np.mean(by_repeat))


def test_a_slide_that_a_repeat_lacks_is_named(make_table: MakeTable) -> None:
    table = repeated(make_table)
    name = table["slide"].iloc[5]
    with pytest.raises(ArtifactError, match=f"{name} was not predicted in every repeat"):
        Sample.of(table.drop(5), CLASSES)
    with pytest.raises(ArtifactError, match=f"{name} was predicted twice"):
        Sample.of(pd.concat([table, table.iloc[[5]]]), CLASSES)


def test_an_evaluation_of_repeats_goes_through_its_file(
    make_table: MakeTable, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("run") / "evaluation.json"
    evaluation = evaluate(repeated(make_table), CLASSES, CONFIG, seed=0)
    evaluation.write(path)
    assert Evaluation.read(path) == evaluation
    shares: Mapping[str, float] = evaluation.out_of_fold.interval.training_share
    assert evaluation.out_of_fold.interval.question == "recipe"
    assert all(0.0 <= share <= 1.0 for share in shares.values())
