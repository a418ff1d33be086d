"""Several runs' classifiers as one bundle."""

import shutil
import sys

import numpy as np
import pytest

from tests.artifacts import rewrite_json
from tests.inference.bundle_of import CLASSES, classifier
from tilewise.calibration.calibration import Calibration
from tilewise.calibration.prediction_sets import SetThresholds
from tilewise.errors import ArtifactError, UsageError
from tilewise.inference.classifier import ClassifierBundle
from tilewise.inference.combiner import Boosted, Logistic, WeightedMean, load_combiner
from tilewise.inference.load_classifier import EnsembleClassifier, load_classifier, write_ensemble

WEIGHTS = WeightedMean((0.75, 0.25, 0.0))


@pytest.fixture
def bundle(tmp_path):
    for name in "abc":
        classifier(seed=ord(name)).save(tmp_path / name)
    write_ensemble(tmp_path / "model", {name: tmp_path / name for name in "abc"}, WEIGHTS, "weighted")
    return tmp_path / "model"


def of_runs(combiner=WEIGHTS):
    return EnsembleClassifier({name: classifier() for name in "abc"}, combiner, "weighted")


def rows(seed=0, num=5):
    return np.random.default_rng(seed).dirichlet(np.ones(3), (3, num))


def test_one_door_opens_both_kinds(bundle, tmp_path):
    whole = load_classifier(bundle)
    assert isinstance(whole, EnsembleClassifier)
    assert list(whole.parts) == ["a", "b", "c"]
    assert [part.seed for part in whole.parts.values()] == [97, 98, 99]
    assert (whole.combiner, whole.method, whole.classes) == (WEIGHTS, "weighted", CLASSES)
    assert isinstance(load_classifier(tmp_path / "a"), ClassifierBundle)
    with pytest.raises(ArtifactError, match="missing"):
        load_classifier(tmp_path / "nothing")


def test_the_runs_are_in_it_whole(bundle, tmp_path):
    for name in "abc":
        shutil.rmtree(tmp_path / name)
    assert len(load_classifier(bundle).parts) == 3


def test_a_bundle_is_written_over_one_that_a_killed_run_left(bundle, tmp_path):
    (bundle / "run-7").mkdir()
    (bundle / "ensemble.json").unlink()
    write_ensemble(bundle, {"a": tmp_path / "a"}, WeightedMean((1.0,)), "average")
    assert list(load_classifier(bundle).parts) == ["a"]
    assert not (bundle / "run-7").exists()


def test_a_part_of_another_training_is_noticed(bundle):
    classifier(weights=(0.5, 0.5)).save(bundle / "run-1")
    with pytest.raises(ArtifactError, match="run-1 is of another run"):
        load_classifier(bundle)


@pytest.mark.parametrize(
    "change",
    [
        {"combiner": {"kind": "weighted-mean", "weights": [0.5, 0.5]}},
        {"combiner": {"kind": "oracle"}},
        {"combiner": {"kind": "logistic", "classes": [0, 1], "coefficients": [[1.0]], "intercepts": [0.0]}},
        {"combiner": {"kind": "boosted", "classes": [0, 1], "one_vs_rest": True, "models": ["x"]}},
        {"combiner": {}},
        {"runs": []},
    ],
)
def test_a_damaged_description_is_told(bundle, change):
    path = bundle / "ensemble.json"
    rewrite_json(path, change)
    with pytest.raises(ArtifactError):
        load_classifier(bundle)


def test_trees_that_are_no_trees_are_damaged():
    data = {"kind": "boosted", "classes": [0, 1, 2], "one_vs_rest": False, "models": ["no trees at all"]}
    with pytest.raises(ArtifactError, match="damaged"):
        load_combiner(data, num_runs=3, num_classes=3)


def test_without_lightgbm_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(UsageError, match=r"tilewise\[ensemble\]"):
        Boosted((0, 1, 2), ("x",), one_vs_rest=False).apply(rows())


def test_slides_that_all_runs_saw_are_combined_by_the_combiner():
    np.testing.assert_allclose(of_runs().combine(rows()), 0.75 * rows()[0] + 0.25 * rows()[1], rtol=1e-12)


def test_a_slide_that_a_run_did_not_see_is_predicted_by_the_others():
    probabilities_RSC = rows()
    probabilities_RSC[0, 2] = np.nan
    probabilities_RSC[:2, 3] = np.nan
    combined = of_runs().combine(probabilities_RSC)
    np.testing.assert_allclose(combined[2], probabilities_RSC[1, 2], rtol=1e-12)
    np.testing.assert_allclose(
        combined[3], probabilities_RSC[2, 3], err_msg="only the run without weight saw it", rtol=1e-12
    )
    np.testing.assert_allclose(combined[0], 0.75 * probabilities_RSC[0, 0] + 0.25 * probabilities_RSC[1, 0], rtol=1e-12)
    stacked = of_runs(Logistic((0, 1, 2), np.zeros((3, 9)), np.zeros(3))).combine(probabilities_RSC)
    np.testing.assert_allclose(stacked[2], probabilities_RSC[1:, 2].mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(stacked[0], 1 / 3, rtol=1e-12)


def test_runs_that_count_for_nothing_need_not_look():
    lean = of_runs().lean()
    assert list(lean.parts) == ["a", "b"]
    np.testing.assert_array_equal(lean.combine(rows()[:2]), of_runs().combine(rows()))
    stacked = of_runs(Logistic((0, 1, 2), np.zeros((3, 9)), np.zeros(3)))
    assert stacked.lean() is stacked


def test_the_calibration_is_kept_and_older_bundles_have_none(bundle, tmp_path):
    assert load_classifier(bundle).calibration is None
    calibration = Calibration(None, SetThresholds(0.9, 0.2, (0.1, 0.0, 0.3)))
    write_ensemble(bundle, {"a": tmp_path / "a"}, WeightedMean((1.0,)), "average", calibration)
    assert load_classifier(bundle).calibration == calibration
    rewrite_json(bundle / "ensemble.json", {"schema_version": 1}, without=("calibration",))
    assert load_classifier(bundle).calibration is None
