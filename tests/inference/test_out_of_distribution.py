"""A slide that is unlike those of training is noticed."""

import numpy as np
import pytest

from tests.inference.bundle_of import member
from tilewise.extraction.bag import FeatureBag
from tilewise.inference.out_of_distribution import ReferenceDistribution, distance
from tilewise.models import FoldModel, Standardisation

USUAL = ReferenceDistribution(fewest_tiles=4, farthest=2.0)


def bag(features_ND):
    return FeatureBag("s", np.asarray(features_ND, np.float32), np.zeros((len(features_ND), 4)))


def test_few_tiles_are_told_and_none_is_another_matter():
    assert "few tiles: 3" in USUAL.warnings(3)[0]
    assert USUAL.warnings(4) == []
    assert USUAL.warnings(0) == []


def test_far_more_tiles_than_any_training_slide_speak_of_another_magnification():
    distribution = ReferenceDistribution.of([4, 16])
    assert distribution.warnings(32) == []
    (sentence,) = distribution.warnings(67)
    assert sentence.startswith("many tiles: 67, and no slide of the training cohort has more than 16")
    assert "another magnification?" in sentence
    assert "`tilewise audit NEW --against COHORT" in sentence


def test_classifiers_that_do_not_know_the_most_tiles_say_nothing_of_them():
    distribution = ReferenceDistribution.from_json({"fewest_tiles": 4, "farthest": None})
    assert distribution.warnings(999) == []


def test_a_far_slide_is_told_how_far_and_without_a_distance_nothing_is_said():
    assert "1.5 times as far" in USUAL.warnings(9, 3.0)[0]
    assert USUAL.warnings(9, 2.0) == []
    assert USUAL.warnings(9) == []
    assert ReferenceDistribution(1).warnings(9, 99.0) == []


def test_the_bounds_are_those_that_99_of_100_keep():
    distribution = ReferenceDistribution.of(range(1, 201), np.arange(200.0))
    assert distribution.fewest_tiles == 2
    assert distribution.farthest == 198.0
    assert distribution.most_tiles == 200
    assert ReferenceDistribution.of([7, 9]) == ReferenceDistribution(7, None, 9)
    assert ReferenceDistribution.from_json(distribution.to_json()) == distribution


def test_distance_is_in_standard_deviations_of_the_train_part():
    model = FoldModel(
        ("A", "B", "C"),
        member(0).head,
        Standardisation(np.array([1.0, 0.0, 5.0, 2.0], np.float32), np.array([1.0, 0.5, 0.0, 2.0], np.float32)),
        member(0).weights,
    )
    # Means 3, 4, anything, 2: off by 2, 2 and 0 deviations; the third feature never varied in training.
    distribution = distance(model, bag([[2.0, 4.0, -99.0, 1.0], [4.0, 4.0, 99.0, 3.0]]))
    assert distribution == pytest.approx(np.sqrt((4.0 + 4.0 + 0.0) / 3))


def test_where_no_feature_varies_nothing_is_far():
    flat = FoldModel(
        ("A", "B", "C"), member(0).head, Standardisation(np.zeros(4, np.float32), np.zeros(4, np.float32)), {}
    )
    assert distance(flat, bag([[9.0] * 4])) == 0.0
