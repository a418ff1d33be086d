"""A run whose folds are cut twice: who learns from whom, and what becomes of its predictions."""

import json

import pandas as pd
import pytest

from tests.pipeline.conftest import train
from tilewise import api
from tilewise.evaluation.evaluation import Evaluation
from tilewise.explain.config import ExplainConfig
from tilewise.inference.classifier import ClassifierBundle
from tilewise.inference.predictions import Predictions
from tilewise.pipeline.compare_runs import compare_runs
from tilewise.run_folder import RunFolder
from tilewise.training import fold as fold_training

HOLDOUT = "folds.holdout_fraction=0.25"


@pytest.fixture(scope="module")
def repeated(home, tmp_path_factory):
    """A run of two repeats, and the parts that each of its models was given."""
    requests, original = [], fold_training.train_fold

    def spied(request, bags, *, out):
        requests.append(request)
        return original(request, bags, out=out)

    out = tmp_path_factory.mktemp("repeated") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILEWISE_CACHE", str(home / "cache"))
        patch.setattr(fold_training, "train_fold", spied)
        train(home / "cohort", out, HOLDOUT, "folds.repeats=2")
    return out, requests


def test_in_no_repeat_does_a_model_learn_from_what_it_is_tested_on(repeated):
    out, requests = repeated
    predictions = Predictions.read(RunFolder(out).predictions)
    tests = predictions.out_of_fold.table
    assert (tests.groupby("slide")["repeat"].nunique() == 2).all()
    assert not tests.duplicated(["slide", "repeat"]).any()
    groups = {row["slide"]: row["group"] for row in tests.to_dict("records") if row["group"] is not None}
    assert len(requests) == tests["fold"].nunique()
    for request in requests:
        tested = tests[tests["fold"] == request.number]
        learnt = {*request.fold.train, *request.fold.validation}
        assert learnt.isdisjoint(tested["slide"])
        assert {groups[name] for name in learnt if name in groups}.isdisjoint(set(tested["group"].dropna()))
        assert (tested["repeat"] == request.number // (len(requests) // 2)).all()


def test_the_first_repeat_is_the_run_without_repeats(home, repeated):
    out, _ = repeated
    one, two = (Predictions.read(RunFolder(folder).predictions).table for folder in (home / "run", out))
    names = [name for name in one if not name.startswith("calibrated_") and name != "set_90"]
    first = two[(two["repeat"] == 0) & (two["part"] != "holdout")]
    pd.testing.assert_frame_equal(
        one.loc[one["part"] != "holdout", names].reset_index(drop=True), first[names].reset_index(drop=True)
    )
    assert "repeat" not in one


def test_the_deployed_classifier_holds_the_models_of_all_repeats(repeated):
    out, requests = repeated
    assert len(ClassifierBundle.load(out / "model").members) == len(requests)


def test_scores_again_exports_and_reports(repeated, tmp_path):
    out, _ = repeated
    assert api.evaluate(out) == Evaluation.read(RunFolder(out).evaluation)
    assert "Folds were cut 2 times" in RunFolder(out).report.read_text("utf-8")
    slides = Predictions.read(RunFolder(out).predictions).per_slide.table
    assert slides["slide"].is_unique
    assert set(slides["part"]) == {"test", "holdout"}


def test_comparisons_take_repeats_as_they_take_seeds(home, repeated):
    comparison = compare_runs([RunFolder(home / "run"), RunFolder(repeated[0])], margin=0.03)
    assert [len(recipe.runs) for recipe in comparison.recipes] == [1, 2]
    assert comparison.pairs[0].paired.num_runs == (1, 2)


def test_slides_are_explained_once_by_the_mean_of_the_models_that_test_them(home, repeated, tmp_path, monkeypatch):
    out, _ = repeated
    monkeypatch.setenv("TILEWISE_CACHE", str(home / "cache"))
    predictions = Predictions.read(RunFolder(out).predictions)
    means = predictions.out_of_fold.table.groupby("slide")["p_A"].mean()
    result = api.explain(out, out=tmp_path / "maps", config=ExplainConfig(class_name="A"), workers=1)
    assert len(result.drawn) == 9
    assert all(len(check.random_shares) == len(means) for check in result.checks)
    for name, path in result.objects.items():
        slide = json.loads(path.read_text("utf-8"))["features"][0]["properties"]["measurements"]
        assert slide["probability A"] == pytest.approx(means[name], abs=1e-6)
    page = result.page.read_text("utf-8")
    assert "the mean over the 2 models that test the slide" in page
    slides = predictions.per_slide.table
    for name in slides.loc[slides["part"] == "test", "slide"]:
        assert page.count(f"<title>{name}") == 1
