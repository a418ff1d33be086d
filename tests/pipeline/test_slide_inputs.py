"""What a classifier of heads says of slides, as `predict` asks it: each head, then their weighted mean."""

import numpy as np

from tests.inference.bundle_of import bags, classifier
from tilewise.extraction.bag import FeatureBag
from tilewise.inference.classifier import predict_bags
from tilewise.pipeline.slide_inputs import FeatureInputs


def predict(bundle, *bags_by_target):
    prediction = FeatureInputs(bags_by_target).predict(bundle.members, list(bags_by_target[0]))
    return bundle.weigh(prediction.probabilities_MSC), prediction.num_tiles_S


def softmax_of_tiles(model, features_ND):
    weight, bias = (
        next(array for name, array in model.weights.items() if name.endswith(end)) for end in ("weight", "bias")
    )
    logits = features_ND.astype(np.float64) @ weight.T.astype(np.float64) + bias
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def test_a_slide_is_the_mean_of_its_tiles_and_members_count_by_their_weight():
    probabilities_SC, num_tiles = predict(classifier(), bags(3, 1, 40))
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
    together, _ = predict(classifier(), whole)
    for row, (name, bag) in zip(together, whole.items(), strict=True):
        np.testing.assert_array_equal(predict(classifier(), {name: bag})[0][0], row)


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
    np.testing.assert_allclose(predict(whole, *bags_by_target)[0], expected, rtol=1e-12)
    np.testing.assert_array_equal(
        predict(whole, bags_by_target[0])[0], predict(whole, bags_by_target[0], bags_by_target[0])[0]
    )
