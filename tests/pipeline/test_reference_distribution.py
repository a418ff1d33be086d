"""What is usual is measured on slides that each fold's model did not know."""

import numpy as np
import pytest

from tests.ensemble.made import make_folds
from tests.inference.bundle_of import member
from tilewise.extraction.bag import FeatureBag
from tilewise.inference.out_of_distribution import distance
from tilewise.pipeline.reference_distribution import fit_reference_distribution
from tilewise.pipeline.slide_inputs import FeatureInputs


def test_train_slides_and_the_holdout_have_no_say_in_the_distance():
    folds = make_folds(np.arange(15) % 3, num_folds=3, holdout=3)
    rng = np.random.default_rng(0)
    features = {item.slide_id: rng.normal(size=(4, 4)).astype(np.float32) for item in folds.items}
    bags = {name: FeatureBag(name, array, np.zeros((4, 4))) for name, array in features.items()}
    models = [member(seed) for seed in range(3)]
    counts = {name: 3 + number for number, name in enumerate(bags)}
    distribution = fit_reference_distribution(models, folds, FeatureInputs((bags,)), counts)
    expected = max(
        distance(models[number], bags[name])
        for number, fold in enumerate(folds.folds)
        for name in (*fold.validation, *fold.test)
    )
    assert distribution.farthest == pytest.approx(expected)
    assert distribution.fewest_tiles == 3
    bags[folds.holdout[0]] = FeatureBag("x", np.full((4, 4), 99.0, np.float32), np.zeros((4, 4)))
    assert fit_reference_distribution(models, folds, FeatureInputs((bags,)), counts) == distribution
