"""What is usual is measured on slides that each fold's model did not know."""

import numpy as np
import pytest

from tests.ensemble.made import make_folds
from tests.inference.test_classifier import member
from tilewise.features.bag import FeatureBag
from tilewise.inference.usual import distance
from tilewise.pipeline.looks import Looks
from tilewise.pipeline.seen import SeenAsFeatures
from tilewise.pipeline.usual import usual_of


def test_train_slides_and_the_holdout_have_no_say_in_the_distance():
    folds = make_folds(np.arange(15) % 3, num_folds=3, holdout=3)
    rng = np.random.default_rng(0)
    features = {item.slide_id: rng.normal(size=(4, 4)).astype(np.float32) for item in folds.items}
    bags = {name: FeatureBag(name, array, np.zeros((4, 4))) for name, array in features.items()}
    models = [member(seed) for seed in range(3)]
    counts = {name: 3 + number for number, name in enumerate(bags)}
    found = usual_of(models, folds, Looks((SeenAsFeatures(bags),)), counts)
    expected = max(
        distance(models[number], bags[name])
        for number, fold in enumerate(folds.folds)
        for name in (*fold.select, *fold.test)
    )
    assert found.farthest == pytest.approx(expected)
    assert found.fewest_tiles == 3
    bags[folds.holdout[0]] = FeatureBag("x", np.full((4, 4), 99.0, np.float32), np.zeros((4, 4)))
    assert usual_of(models, folds, Looks((SeenAsFeatures(bags),)), counts) == found
