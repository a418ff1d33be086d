"""Who says what of a slide: the models behind its heat, in words."""

import numpy as np
import pytest

from tests.drawn import draw_cohort, recipe
from tilewise import api
from tilewise.folds import Folds
from tilewise.inference.predictions import Predictions
from tilewise.pipeline.fold_models import load_fold_model
from tilewise.recipe import load_recipe
from tilewise.run_folder import RunFolder
from tilewise.serving.review import heat as module
from tilewise.serving.review.app import Review
from tilewise.serving.review.reviewed_run import ReviewedRun

pytestmark = pytest.mark.shared_cache


def test_heat_by_models_that_learnt_from_the_slide_says_so(tmp_path):
    draw_cohort(tmp_path / "cohort", num_slides=18)
    settings = ("folds={kind: holdout, test_fraction: 0.25, holdout_fraction: 0.25}",)
    api.train(tmp_path / "cohort", recipe(*settings), out=tmp_path / "run", workers=1)
    folder = RunFolder(tmp_path / "run")
    heat = Review(ReviewedRun.open(folder), None, "ada").heat
    folds = Folds.read(folder.folds)
    (fold,) = folds.folds
    assert heat.of(fold.test[0]).models == "the model of fold 0, which did not learn from this slide"
    for names, words in (
        (fold.train, "which learnt from this slide"),
        (fold.validation, "in whose validation part this slide is"),
        (folds.holdout, "which did not learn from this slide"),
    ):
        assert heat.of(names[0]).models == f"the one model of the run, {words}"


def test_heat_of_repeated_folds_is_the_mean_of_the_models_that_test_the_slide(tmp_path, monkeypatch):
    draw_cohort(tmp_path / "cohort", num_slides=18)
    api.train(tmp_path / "cohort", recipe("folds.repeats=2"), out=tmp_path / "run", workers=1)
    folder = RunFolder(tmp_path / "run")
    run, folds, predictions = ReviewedRun.open(folder), Folds.read(folder.folds), Predictions.read(folder.predictions)
    maker = Review(run, None, "ada").heat
    name = folds.folds[0].test[0]
    numbers = folds.testing[name]
    heat = maker.of(name)
    assert heat.models == (
        f"the mean of the models of folds {numbers[0]} and {numbers[1]}, one of each repeat, "
        "which did not learn from this slide"
    )
    # Each tile's heat is the mean over the two models of what either says of it.
    inputs, recipe_of_run = maker._inputs(name, numbers), load_recipe(folder.recipe)
    models = [load_fold_model(folder, recipe_of_run, number) for number in numbers]
    (bag,) = (bags[name] for bags in inputs.bags)
    of_models = [model.predict_tiles(bag.features_ND, None, None, bag.placements_NP) for model in models]
    assert np.abs(of_models[0] - of_models[1]).max() > 0.01
    np.testing.assert_allclose(heat.probabilities_TC, np.mean(of_models, axis=0), atol=1e-6)
    tests = predictions.out_of_fold.table
    assert set(tests.loc[tests["slide"] == name, "fold"]) == set(numbers)
    # Where the second repeat chose a network, the heat is that of the first one's head.
    monkeypatch.setattr(module, "NetworkModel", _Network)
    monkeypatch.setattr(module, "load_fold_model", lambda *_: _Network() if _[2] == numbers[1] else models[0])
    heat = Review(run, None, "ada").heat.of(name)
    assert heat.models == (
        f"the model of fold {numbers[0]}, which did not learn from this slide; other repeats chose a network and have "
        f"no part (fold {numbers[1]})"
    )
    np.testing.assert_allclose(heat.probabilities_TC, of_models[0], atol=1e-6)


class _Network:
    """Stands for a model of the other kind, which nobody asks anything."""
