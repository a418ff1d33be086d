import numpy as np
import pandas as pd
import pytest
from benchmarks.conformal import ece_coverage
from sklearn.metrics import brier_score_loss, log_loss

from tests.evaluation.conftest import CLASSES
from tilewise.evaluation.config import EvaluationConfig
from tilewise.evaluation.evaluate_predictions import evaluate
from tilewise.evaluation.evaluation import Evaluation
from tilewise.evaluation.sample import Sample
from tilewise.evaluation.score_calibration import bins_of, score_calibration
from tilewise.evaluation.score_sets import abstention_curve, score_sets

CONFIG = EvaluationConfig(num_resamples=400)


def sample_of(table):
    return Sample.of(table, CLASSES)


def scores_of(table, calibrated=None):
    return score_calibration(sample_of(table), calibrated, CONFIG, seed=(0,))


def test_brier_and_log_loss_are_scikit_learn_s(make_table):
    table = make_table(70)
    sample, scores = sample_of(table), scores_of(table).scores
    names = np.array(CLASSES)[sample.truth_N]
    expected = brier_score_loss(names, sample.probabilities_NC, labels=list(CLASSES), scale_by_half=False)
    assert scores.brier.value == pytest.approx(expected)
    assert scores.log_loss.value == pytest.approx(log_loss(names, sample.probabilities_NC, labels=list(CLASSES)))


def test_slides_that_calibration_would_call_otherwise_are_counted(make_table):
    table = make_table(30)
    calibrated = sample_of(table).probabilities_NC.copy()
    calibrated[:4] = np.roll(calibrated[:4], 1, axis=1)
    assert scores_of(table, calibrated).num_overruled == 4
    assert scores_of(table).num_overruled is None


def test_ece_is_the_mean_distance_of_bins(make_table):
    table = make_table(83, skill=2.0)
    sample, scores = sample_of(table), scores_of(table).scores
    confidence, right = sample.probabilities_NC.max(axis=1), sample.probabilities_NC.argmax(axis=1) == sample.truth_N
    order = np.argsort(confidence)
    assert sum(entry.num_slides for entry in scores.bins) == 83
    nums = [entry.num_slides for entry in scores.bins]
    assert max(nums) - min(nums) == 1
    edges = np.cumsum(nums)[:-1]
    parts = np.split(order, edges)
    expected = sum(abs(confidence[part].mean() - right[part].mean()) * len(part) for part in parts) / 83
    assert scores.ece.value == pytest.approx(expected)
    assert [entry.right.value for entry in scores.bins] == pytest.approx([right[part].mean() for part in parts])


def test_probabilities_that_are_right_are_in_the_range_of_chance_and_others_are_not(make_table):
    rng = np.random.default_rng(0)
    table = make_table(600)
    probabilities = table[[f"p_{name}" for name in CLASSES]].to_numpy()
    table["label"] = np.array(CLASSES, object)[[rng.choice(3, p=row) for row in probabilities]]
    exact = scores_of(table).scores
    assert exact.chance_ece.low < exact.ece.value < exact.chance_ece.high
    sharp = probabilities**3
    for name, column in zip(CLASSES, (sharp / sharp.sum(axis=1, keepdims=True)).T, strict=True):
        table[f"p_{name}"] = column
    sure = scores_of(table).scores
    assert sure.ece.low > sure.chance_ece.high
    assert sure.brier.value > exact.brier.value


def test_intervals_grow_with_fewer_groups(make_table):
    def width(estimate):
        return estimate.high - estimate.low

    many, few = make_table(120), make_table(120)
    few = few.sort_values("label").assign(group=[f"patient {number // 10}" for number in range(120)])
    assert width(scores_of(few).scores.brier) > 1.2 * width(scores_of(many).scores.brier)


@pytest.mark.parametrize("num", [1, 7, 20, 1000])
def test_bins_hold_equally_many_and_follow_confidence(num):
    confidence = np.random.default_rng(num).random(num)
    bins = bins_of(confidence)
    counts = np.bincount(bins)
    assert len(counts) == min(10, max(1, num // 8))
    assert counts.max() - counts.min() <= 1
    assert (np.diff(bins[np.argsort(confidence)]) >= 0).all()


def test_sets_are_scored_by_hand(make_table):
    sample = sample_of(make_table(30))
    sets = np.zeros((30, 3), bool)
    sets[np.arange(30), sample.truth_N] = np.arange(30) % 3 > 0  # two of three hold the class
    sets[:, 0] |= True
    scores = score_sets(sample, sets, np.ones((30, 3), bool), CONFIG, seed=(0,))
    holds = sets[np.arange(30), sample.truth_N]
    assert scores.by_class.coverage.value == pytest.approx(holds.mean())
    assert scores.by_class.mean_size == pytest.approx(sets.sum(axis=1).mean())
    single = sets.sum(axis=1) == 1
    assert scores.by_class.single_right.value == pytest.approx(holds[single].mean())
    assert scores.by_class.class_coverage["invasive"].value == pytest.approx(holds[sample.truth_N == 2].mean())
    assert scores.overall.coverage.value == 1.0
    assert scores.overall.single_right.value is None


def test_who_abstains_is_least_sure(make_table):
    sample = sample_of(make_table(200, skill=2.0))
    curve = abstention_curve(sample, sample.probabilities_NC, CONFIG, seed=(0,))
    right = sample.predicted_N == sample.truth_N
    assert curve[0].accuracy.value == pytest.approx(right.mean())
    order = np.argsort(-sample.probabilities_NC.max(axis=1))
    assert curve[5].accuracy.value == pytest.approx(right[order[:100]].mean())
    assert curve[5].abstained == pytest.approx(0.5)
    assert [point.confidence for point in curve] == sorted(point.confidence for point in curve)
    assert curve[-1].accuracy.value > curve[0].accuracy.value


def test_an_evaluation_holds_all_of_it_and_goes_through_its_file(make_table, tmp_path):
    table = make_table(90, skill=2.0)
    holdout = make_table(30, seed=1).assign(part="holdout", fold=-1)
    holdout["slide"] = "h" + holdout["slide"]
    evaluation = evaluate(pd.concat([table, holdout]), CLASSES, CONFIG, seed=0)
    assert set(evaluation.calibration) == set(evaluation.sets) == {"out_of_fold", "holdout"}
    assert evaluation.calibration["out_of_fold"].calibrated is not None
    assert evaluation.sets["holdout"].by_class.coverage.value > 0.6
    evaluation.write(tmp_path / "evaluation.json")
    assert Evaluation.read(tmp_path / "evaluation.json") == evaluation


def test_one_fold_has_neither_sets_nor_calibrated_probabilities(make_table):
    evaluation = evaluate(make_table(60, num_folds=1), CLASSES, CONFIG, seed=0)
    assert evaluation.calibration["out_of_fold"].calibrated is None
    assert evaluation.sets == {}
    assert evaluation.abstention[0].accuracy.value == float(evaluation.accuracy)


@pytest.mark.parametrize(("temperature", "least"), [(1.0, 0.93), (1.6, 0.84)])
def test_the_interval_holds_the_error_on_very_many_slides(temperature, least):
    assert ece_coverage(160, temperature, num_samples=120, seed=0) > least
