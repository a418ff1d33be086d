from dataclasses import replace

import numpy as np
import pytest

from tests.artifacts import rewrite_json
from tests.inference.bundle_of import bags, classifier, member
from tilewise.calibration.calibration import Calibration
from tilewise.calibration.prediction_sets import SetThresholds
from tilewise.calibration.scaling import Scaling
from tilewise.errors import ArtifactError
from tilewise.inference.classifier import ClassifierBundle, predict_bags, read_weights, stack
from tilewise.inference.combiner import WeightedMean
from tilewise.inference.load_classifier import EnsembleClassifier
from tilewise.inference.out_of_distribution import ReferenceDistribution
from tilewise.stain import STANDARD


def test_what_was_saved_is_what_is_read(tmp_path):
    before = classifier()
    before.save(tmp_path)
    after = ClassifierBundle.load(tmp_path)
    assert replace(after, members=()) == replace(before, members=())
    for read, written in zip(after.members, before.members, strict=True):
        np.testing.assert_array_equal(predict_bags(read, bags(5, 2)), predict_bags(written, bags(5, 2)))


def test_a_bundle_is_short_in_print():
    assert repr(classifier()) == "<ClassifierBundle r: 2 heads, learnt from 7 slides>"
    whole = EnsembleClassifier({"a": classifier(), "b": classifier()}, WeightedMean((0.5, 0.5)), "average")
    assert repr(whole) == "<EnsembleClassifier: average of 2 runs>"


@pytest.mark.parametrize(
    ("counts", "commonest"),
    [({"A": 2, "NA": 5}, "NA"), ({"A": 5, "NA": 5}, "A"), ({"HER2(+), ünsure": 1}, "HER2(+), ünsure"), ({}, "A")],
)
def test_the_commonest_class_is_the_first_of_equals(counts, commonest):
    assert classifier(label_counts=counts).commonest == commonest


def test_tiles_are_stacked_in_the_order_of_the_bags():
    features_ND, slide_N = stack(bags(2, 1, 3))
    assert slide_N.tolist() == [0, 0, 1, 2, 2, 2]
    np.testing.assert_array_equal(features_ND, np.concatenate([bag.features_ND for bag in bags(2, 1, 3).values()]))


def test_models_give_one_row_per_bag():
    assert predict_bags(member(0), bags(2, 7)).shape == (2, 3)


@pytest.mark.parametrize("missing", ["classifier.json", "member-1/model.json", "member-1/model.safetensors"])
def test_a_bundle_that_is_not_whole_is_refused(tmp_path, missing):
    classifier().save(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(ArtifactError):
        ClassifierBundle.load(tmp_path)


def test_a_bundle_whose_writing_was_cut_short_is_no_mixture_of_two(tmp_path):
    classifier().save(tmp_path)
    member(7).save(tmp_path / "member-0")  # a killed run got this far on its second training
    with pytest.raises(ArtifactError, match="member-0 is of another training"):
        ClassifierBundle.load(tmp_path)


def test_stains_that_slides_are_brought_to_are_kept(tmp_path):
    recipe = {"name": "r", "stain": {"method": "macenko"}}
    for number, targets in enumerate(((STANDARD,), (STANDARD, replace(STANDARD, concentrations=(1.0, 2.0))))):
        whole = classifier(recipe=recipe, targets=targets)
        whole.save(tmp_path / str(number))
        assert ClassifierBundle.load(tmp_path / str(number)).targets == targets


@pytest.mark.parametrize(("method", "num"), [("macenko", 0), ("macenko", 3), ("none", 1)])
def test_a_bundle_that_lacks_its_stains_is_damaged(tmp_path, method, num):
    classifier(recipe={"name": "r", "stain": {"method": method}}, targets=(STANDARD,) * num).save(tmp_path)
    with pytest.raises(ArtifactError, match="stain targets"):
        ClassifierBundle.load(tmp_path)


def test_a_bundle_of_the_first_version_knows_no_stains(tmp_path):
    classifier().save(tmp_path)
    path = tmp_path / "classifier.json"
    rewrite_json(path, {"schema_version": 1}, without=("targets",))
    assert ClassifierBundle.load(tmp_path).targets == ()


def test_what_is_usual_is_kept_and_older_bundles_do_not_know_it(tmp_path):
    reference_distribution = ReferenceDistribution(fewest_tiles=3, farthest=2.5)
    classifier(reference_distribution=reference_distribution).save(tmp_path)
    assert ClassifierBundle.load(tmp_path).reference_distribution == reference_distribution
    path = tmp_path / "classifier.json"
    rewrite_json(path, {"schema_version": 2}, without=("reference_distribution",))
    assert ClassifierBundle.load(tmp_path).reference_distribution is None


def test_the_weights_are_read_without_the_members(tmp_path):
    classifier().save(tmp_path)
    (tmp_path / "member-0/model.safetensors").unlink()
    assert read_weights(tmp_path) == (0.25, 0.75)


def test_the_calibration_is_kept_and_older_bundles_have_none(tmp_path):
    calibration = Calibration(Scaling(0.7, (0.1, 0.0, -0.1)), SetThresholds(0.9, 0.2, (0.1, 0.0, 0.3)))
    classifier(calibration=calibration).save(tmp_path)
    assert ClassifierBundle.load(tmp_path).calibration == calibration
    path = tmp_path / "classifier.json"
    rewrite_json(path, {"calibration": calibration.to_json() | {"scaling": {"temperature": 0.7, "biases": [0.1]}}})
    with pytest.raises(ArtifactError, match="damaged"):
        ClassifierBundle.load(tmp_path)
    rewrite_json(path, {"schema_version": 3}, without=("calibration",))
    assert ClassifierBundle.load(tmp_path).calibration is None
