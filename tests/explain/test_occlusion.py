"""Tiles that are left out: what heads that are known to be linear say without them."""

import numpy as np
import pytest

from tests.explain.test_checks import head
from tilewise.explain.contributions import contribute
from tilewise.explain.occlusion import leave_tiles_out
from tilewise.extraction.bag import FeatureBag
from tilewise.models import FoldModel
from tilewise.models.config import HeadConfig
from tilewise.models.standardisation import Standardisation

WEIGHTS = np.array([[1.0, 0, 0, 0], [-1.0, 0, 0, 0]], np.float32)


def bag(features, *, side=8):
    features = np.asarray(features, np.float32)
    boxes = np.array([[side * number, 0, side, side] for number in range(len(features))])
    return FeatureBag("a", features, boxes)


def log_odds(probability):
    return np.log(probability / (1 - probability))


def test_what_is_lost_without_a_tile_is_what_the_slide_would_have_been():
    model = head(WEIGHTS)
    features = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    occlusion = leave_tiles_out([model], [1.0], [bag(features)], 0)
    whole = log_odds(model.predict_slides(features, np.zeros(6, np.int64), 1)[0][0, 0])
    for tile in range(6):
        others = np.delete(features, tile, axis=0)
        without = log_odds(model.predict_slides(others, np.zeros(5, np.int64), 1)[0][0, 0])
        assert occlusion.falls_KHW[tile, 0, 0] == pytest.approx(whole - without, abs=1e-5)
    assert occlusion.falls_KHW[features[:, 0].argmax()] > 0 > occlusion.falls_KHW[features[:, 0].argmin()]


def test_of_many_tiles_neighbours_are_left_out_together():
    features = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    falls = leave_tiles_out([head(WEIGHTS)], [1.0], [bag(features)], 0).falls_KHW.ravel()
    changes = np.flatnonzero(np.diff(falls))
    assert len(falls) == 300
    assert len(changes) <= 63, "groups are stretches of the row of tiles"


def test_a_slide_of_one_tile_has_nothing_left_without_it():
    assert leave_tiles_out([head(WEIGHTS)], [1.0], [bag(np.zeros((1, 4)))], 0) is None


def texture_head(weights, **config):
    num = weights.shape[1]
    standard = Standardisation(np.full(num, 0.5, np.float32), np.full(num, 2.0, np.float32))
    return FoldModel(("A", "B", "C"), HeadConfig(**config), standard, {"0.weight": weights, "0.bias": np.zeros(3)})


def test_named_features_add_up_to_the_logit_over_the_mean_of_the_other_classes():
    generator = np.random.default_rng(0)
    weights = generator.normal(size=(3, 232)).astype(np.float32)
    features = generator.normal(size=(5, 232)).astype(np.float32)
    model = texture_head(weights, kind="lda")
    added = contribute([model], [1.0], [bag(features)], 1, encoder="texture")
    logits = weights @ ((features.mean(axis=0) - 0.5) * 2)
    assert added.total == pytest.approx(logits[1] - logits[[0, 2]].mean(), rel=1e-5)
    assert sum(value for _, value in added.groups) == pytest.approx(added.total)
    sizes = [abs(value) for _, value in added.features]
    assert sizes == sorted(sizes, reverse=True)
    assert added.features[0][0].split(".")[0] in dict(added.groups)


@pytest.mark.parametrize(("config", "encoder"), [({"kind": "lda"}, "resnet18"), ({"norm": "layer"}, "texture")])
def test_features_without_names_and_heads_that_are_not_linear_have_no_contributions(config, encoder):
    model = texture_head(np.zeros((3, 232), np.float32), **config)
    assert contribute([model], [1.0], [bag(np.zeros((2, 232)))], 0, encoder=encoder) is None
