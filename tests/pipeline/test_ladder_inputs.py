"""A ladder with a rung that trains networks: folds of heads, of networks, and classifiers of both."""

from dataclasses import replace

import numpy as np
import pytest

import tilewise as tw
from tests.drawn import draw_cohort, recipe
from tilewise import api
from tilewise.cohort import Cohort
from tilewise.errors import UsageError
from tilewise.explain.config import ExplainConfig
from tilewise.inference.classifier import ClassifierBundle
from tilewise.models import FoldModel
from tilewise.models.networks import NetworkModel
from tilewise.pipeline.explain import explain
from tilewise.pipeline.predict import predict

pytestmark = pytest.mark.shared_cache

NETWORK = (
    "{training.input: tiles, encoder.name: simple_cnn, encoder.init: random, network.trained: all, "
    "network.input_px: 32, training.epochs: 8, training.learning_rate: 0.003, training.num_threads: 1, "
    "head.kind: linear, head.logistic_c: null}"
)
SETTINGS = (
    "training.epochs=null",
    # So strong a penalty that the first rung learns nothing.
    *("head.kind=logistic", "head.logistic_c=0.000000001"),
    f"ladder.rungs=[{{name: means}}, {{name: networks, preset: best, set: {NETWORK}}}]",
    *("ladder.inner_folds=2", "ladder.min_standard_errors=0"),
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("rungs")
    draw_cohort(home / "cohort", num_slides=18)
    for preset in ("fast", "best"):
        chosen = recipe(*SETTINGS, f"ladder.preset={preset}")
        api.train(Cohort.discover(home / "cohort"), chosen, out=home / preset, workers=1)
    return home


def probabilities(classifier, home):
    cohort = Cohort.discover(home / "cohort", purpose="predict")
    return predict(classifier, cohort, out=None, workers=1).table[["p_A", "p_B"]].to_numpy()


def test_every_fold_has_what_it_chose(home):
    run = tw.Run.open(home / "best")
    kinds = {"means": FoldModel, "networks": NetworkModel}
    assert [type(member) for member in run.classifier().members] == [kinds[choice.chosen] for choice in run.ladder]
    assert "networks" in {choice.chosen for choice in run.ladder}
    assert run.evaluation.primary.value > 0.8
    assert api.verify(home / "best") == []


def test_with_the_preset_fast_networks_are_not_tried(home):
    heads = ClassifierBundle.load(home / "fast" / "model").members
    assert all(isinstance(member, FoldModel) for member in heads)


def test_a_classifier_of_heads_and_networks_is_their_weighted_mean(home, tmp_path):
    networks, heads = (ClassifierBundle.load(home / name / "model") for name in ("best", "fast"))
    network = next(member for member in networks.members if isinstance(member, NetworkModel))
    members, weights = (network, heads.members[1], network), (0.5, 0.3, 0.2)
    single = [replace(networks, members=(member,), weights=(1.0,)) for member in members]
    mixed = replace(networks, members=members, weights=weights)
    mixed.save(tmp_path / "model")
    mixed = ClassifierBundle.load(tmp_path / "model")
    assert [type(member) for member in mixed.members] == [NetworkModel, FoldModel, NetworkModel]
    expected_SC = np.average([probabilities(one, home) for one in single], axis=0, weights=weights)
    np.testing.assert_allclose(probabilities(mixed, home), expected_SC, atol=1e-6)
    with pytest.raises(UsageError, match="2 of 3 folds of this run chose to train networks"):
        explain(mixed, Cohort.discover(home / "cohort", purpose="predict"), ExplainConfig(), out=tmp_path / "maps")
