from dataclasses import replace

import numpy as np
import pytest

from tests.artifacts import rewrite_json
from tilewise.errors import ArtifactError
from tilewise.extraction.bag import FeatureBag
from tilewise.inference.classifier import ClassifierBundle, predict_bags, read_weights, stack
from tilewise.inference.out_of_distribution import ReferenceDistribution
from tilewise.models import FoldModel, HeadConfig, Standardisation
from tilewise.stain import STANDARD

CLASSES = ("A", "HER2(+), ünsure", "NA")


def member(seed):
    """Softmax regression on four features with random weights."""
    generator = np.random.default_rng(seed)
    weights = {
        "weight": generator.normal(size=(3, 4)).astype(np.float32),
        "bias": generator.normal(size=3).astype(np.float32),
    }
    from tilewise.models.heads import build_head

    names = list(build_head(HeadConfig(), num_features=4, num_classes=3).state_dict())
    weights = {name: weights[name.rsplit(".", 1)[-1]] for name in names}
    return FoldModel(CLASSES, HeadConfig(), Standardisation(np.zeros(4, np.float32), np.ones(4, np.float32)), weights)


def classifier(weights=(0.25, 0.75), **changes):
    whole = ClassifierBundle(
        members=tuple(member(seed) for seed in range(len(weights))),
        weights=weights,
        classes=CLASSES,
        recipe={"name": "r", "tiles": {"size_px": 64}},
        seed=3,
        encoder={"card": "texture", "threads": 2},
        label_counts={"A": 2, "NA": 5},
        training_slides={"digest": "img 1.png"},
    )
    return replace(whole, **changes)


def bags(*lengths):
    generator = np.random.default_rng(9)
    return {
        f"s{number}": FeatureBag(
            f"s{number}", generator.normal(size=(length, 4)).astype(np.float32), np.zeros((length, 4))
        )
        for number, length in enumerate(lengths)
    }


def softmax_of_tiles(model, features_ND):
    weight, bias = (
        next(array for name, array in model.weights.items() if name.endswith(end)) for end in ("weight", "bias")
    )
    logits = features_ND.astype(np.float64) @ weight.T.astype(np.float64) + bias
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def test_a_slide_is_the_mean_of_its_tiles_and_members_count_by_their_weight():
    probabilities_SC, num_tiles = classifier().predict(bags(3, 1, 40))
    members = classifier().members
    expected = [
        sum(
            weight * softmax_of_tiles(model, bag.features_ND).mean(axis=0)
            for weight, model in zip((0.25, 0.75), members, strict=True)
        )
        for bag in bags(3, 1, 40).values()
    ]
    np.testing.assert_allclose(probabilities_SC, expected, atol=1e-6)
    assert num_tiles.tolist() == [3, 1, 40]


def test_a_slide_is_predicted_alike_alone_and_among_others():
    whole = bags(5, 1100, 17, 3)
    together, _ = classifier().predict(whole)
    for row, (name, bag) in zip(together, whole.items(), strict=True):
        np.testing.assert_array_equal(classifier().predict({name: bag})[0][0], row)


def test_what_was_saved_predicts_the_same_bytes(tmp_path):
    before = classifier()
    before.save(tmp_path)
    after = ClassifierBundle.load(tmp_path)
    np.testing.assert_array_equal(after.predict(bags(5, 2))[0], before.predict(bags(5, 2))[0])
    assert replace(after, members=()) == replace(before, members=())


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


def test_each_member_predicts_from_its_own_look():
    whole, generator = classifier(), np.random.default_rng(1)
    bags_by_target = [
        {
            name: FeatureBag(name, generator.normal(size=(3, 4)).astype(np.float32), np.zeros((3, 4), np.int64))
            for name in "ab"
        }
        for _ in range(2)
    ]
    expected = 0.25 * predict_bags(whole.members[0], bags_by_target[0]) + 0.75 * predict_bags(
        whole.members[1], bags_by_target[1]
    )
    np.testing.assert_allclose(whole.predict(*bags_by_target)[0], expected, rtol=1e-12)
    np.testing.assert_array_equal(
        whole.predict(bags_by_target[0])[0], whole.predict(bags_by_target[0], bags_by_target[0])[0]
    )
