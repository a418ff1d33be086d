"""Finished runs made one: a run like any other, and refused where it would not be honest."""

import json
import shutil

import numpy as np
import pytest

from tests.drawn import draw_cohort, draw_slide
from tests.pipeline.conftest import train
from tilewise import api
from tilewise.cohort import Cohort
from tilewise.ensemble.methods import METHODS
from tilewise.errors import ArtifactError, UsageError
from tilewise.folds import Folds
from tilewise.inference.load_classifier import load_classifier
from tilewise.inference.predictions import Predictions
from tilewise.pipeline.ensemble import class_weighting
from tilewise.recipe import load_recipe
from tilewise.store import read_json

pytestmark = pytest.mark.shared_cache

COLUMNS = ["p_A", "p_B"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs of the same folds that cut and aggregate differently, and new slides."""
    home = tmp_path_factory.mktemp("runs")
    draw_cohort(home / "cohort", num_slides=24)
    train(home / "cohort", home / "fine", "folds.holdout_fraction=0.25")
    train(home / "cohort", home / "coarse", "folds.holdout_fraction=0.25", "tiles.size_px=48", "head.aggregate=max")
    for number in range(3):
        draw_slide(home / "new" / f"n{number}.png", 70 + number, klass=number % 2)
    return home


def combine(runs, out, method="average", **options):
    return api.ensemble([runs / "fine", runs / "coarse"], method, out=out, **options)


def predict(run, folder):
    return api.predict(run, Cohort.discover(folder, purpose="predict"), workers=1)


@pytest.mark.parametrize("method", METHODS)
def test_the_result_is_a_run_like_any_other(runs, tmp_path, method):
    out = tmp_path / "both"
    run = combine(runs, out, method)
    assert api.verify(out) == []
    assert api.evaluate(out) == run.evaluation
    assert (out / "report.html").read_bytes() == api.report(out, out=tmp_path / "again.html").read_bytes()
    assert run.evaluation.out_of_fold.num_slides == 18
    assert run.evaluation.holdout.num_slides == 6
    prediction = predict(out, runs / "new")
    assert prediction.table["slide"].tolist() == ["n0.png", "n1.png", "n2.png"]
    np.testing.assert_allclose(prediction.table[COLUMNS].sum(axis=1), 1.0)


def test_the_holdout_is_scored_by_the_classifier_that_is_deployed(runs, tmp_path):
    """What the combined run says of its hold-out is what `predict` says of the same files."""
    combine(runs, tmp_path / "both", "stack-logistic")
    rows = Predictions.read(tmp_path / "both/predictions.parquet").table.set_index("slide")
    holdout_rows = Folds.read(tmp_path / "both/folds.json").holdout
    (tmp_path / "held/images").mkdir(parents=True)
    (tmp_path / "held/masks").mkdir()
    for name in holdout_rows:
        shutil.copy(runs / "cohort/images" / name, tmp_path / "held/images" / name)
        mask = name.replace("img", "mask")
        shutil.copy(runs / "cohort/masks" / mask, tmp_path / "held/masks" / mask)
    prediction = predict(tmp_path / "both", tmp_path / "held").table.set_index("slide")
    np.testing.assert_allclose(
        prediction.loc[list(holdout_rows), COLUMNS], rows.loc[list(holdout_rows), COLUMNS], rtol=1e-6
    )


def test_the_average_predicts_the_mean_of_the_runs_and_the_fewest_tiles(runs, tmp_path):
    combine(runs, tmp_path / "both")
    both, fine, coarse = (
        predict(run, runs / "new").table for run in (tmp_path / "both", runs / "fine", runs / "coarse")
    )
    np.testing.assert_allclose(both[COLUMNS], (fine[COLUMNS] + coarse[COLUMNS]) / 2, rtol=1e-9)
    assert both["num_tiles"].tolist() == np.minimum(fine["num_tiles"], coarse["num_tiles"]).tolist()


def test_what_recipes_agree_in_is_done_once(runs, tmp_path, monkeypatch):
    from tilewise.pipeline import run_predictor

    audits, cut, built = [], [], []
    real_audit, real_tiles, real_build = (
        run_predictor.audit_cohort,
        run_predictor.tile_cohort,
        run_predictor.build_encoder,
    )
    combine(runs, tmp_path / "both")
    monkeypatch.setattr(run_predictor, "audit_cohort", lambda *a, **k: audits.append(1) or real_audit(*a, **k))
    monkeypatch.setattr(run_predictor, "tile_cohort", lambda *a, **k: cut.append(1) or real_tiles(*a, **k))
    monkeypatch.setattr(run_predictor, "build_encoder", lambda *a, **k: built.append(1) or real_build(*a, **k))
    predict(tmp_path / "both", runs / "new")
    assert (len(audits), len(built), len(cut)) == (1, 1, 2), "tiles differ in size"


def test_the_same_call_does_nothing_and_another_is_refused(runs, tmp_path):
    out = tmp_path / "both"
    combine(runs, out, "weighted")
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert combine(runs, out, "weighted").was_finished
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    with pytest.raises(UsageError, match="--method: weighted there, greedy here"):
        combine(runs, out, "greedy")
    with pytest.raises(UsageError, match="--seed: 0 there, 1 here"):
        combine(runs, out, "weighted", seed=1)
    with pytest.raises(UsageError, match="the runs"):
        api.ensemble([runs / "coarse", runs / "fine"], "weighted", out=out)


def test_a_stopped_combination_is_made_whole(runs, tmp_path):
    out = tmp_path / "both"
    combine(runs, out)
    whole = (out / "predictions.parquet").read_bytes()
    for name in ("manifest.json", "predictions.parquet", "model/run-1/classifier.json"):
        (out / name).unlink()
    assert not combine(runs, out).was_finished
    assert (out / "predictions.parquet").read_bytes() == whole
    assert api.verify(out) == []


def test_folders_that_are_something_else_are_refused(runs, tmp_path):
    with pytest.raises(UsageError, match="holds a run that was trained"):
        combine(runs, runs / "fine")
    with pytest.raises(UsageError, match="named twice"):
        api.ensemble([runs / "fine", runs / "fine"], out=tmp_path / "x")
    with pytest.raises(UsageError, match="two runs or more"):
        api.ensemble([runs / "fine"], out=tmp_path / "x2")
    combine(runs, tmp_path / "both")
    with pytest.raises(UsageError, match="both is combined of runs itself"):
        api.ensemble([runs / "fine", tmp_path / "both"], out=tmp_path / "y")


def test_runs_of_other_folds_are_refused_by_name(runs, tmp_path):
    train(runs / "cohort", tmp_path / "other", "folds.holdout_fraction=0.25", seed=5)
    with pytest.raises(UsageError, match=r"run other cannot be combined with fine: slide img_\d+\.png is in"):
        api.ensemble([runs / "fine", tmp_path / "other"], out=tmp_path / "both")


def test_a_damaged_run_is_refused(runs, tmp_path):
    shutil.copytree(runs / "coarse", tmp_path / "coarse")
    (tmp_path / "coarse/model/classifier.json").write_text("{}")
    with pytest.raises(ArtifactError, match=r"run coarse: model/classifier\.json is missing or changed"):
        api.ensemble([runs / "fine", tmp_path / "coarse"], out=tmp_path / "both")


def test_runs_of_one_name_are_told_apart_by_their_folders(runs, tmp_path):
    for parent, run in (("one", "fine"), ("two", "coarse")):
        shutil.copytree(runs / run, tmp_path / parent / "run")
    api.ensemble([tmp_path / "one/run", tmp_path / "two/run"], out=tmp_path / "both")
    assert list(load_classifier(tmp_path / "both/model").parts) == ["one/run", "two/run"]


def test_the_report_says_first_what_was_combined_and_on_what_it_was_fitted(runs, tmp_path):
    combine(runs, tmp_path / "both", "weighted")
    text = (tmp_path / "both/report.html").read_text("utf-8")
    first = text[text.index("<main>") : text.index('id="score"')]
    record = read_json(tmp_path / "both/ensemble.json", schema="tilewise.ensemble", version=1)
    weights = ", ".join(f"{name} {weight:.2f}" for name, weight in zip(record["runs"], record["weights"], strict=True))
    for words in ("2 runs (fine, coarse)", "<code>weighted</code>", weights, "on the validation parts alone"):
        assert words in first
    assert "best single run" in text
    assert "No patient or group column" in text
    assert "Looked for: files that cannot be read" not in text, "the audit is the runs' own"
    assert str(runs) not in text
    best = int(np.argmax(record["validation_scores"]))
    assert record["best_run"] == best
    sizes = {part: [row["num_slides"] for row in rows] for part, rows in record["differences"].items()}
    assert sizes == {"test": [18, 18], "holdout": [6, 6]}
    for number, name in enumerate(("fine", "coarse")):
        row = record["differences"]["test"][number]["metrics"]["macro_f1"]
        assert row["a"] == api.evaluate(tmp_path / "both").macro_f1.value
        assert row["b"] == api.evaluate(runs / name).macro_f1.value


def test_without_a_holdout_the_deployed_combiner_has_no_score_and_it_is_said(tmp_path):
    draw_cohort(tmp_path / "cohort", num_slides=18)
    for name, size in (("a", 32), ("b", 48)):
        train(tmp_path / "cohort", tmp_path / name, f"tiles.size_px={size}")
    run = api.ensemble([tmp_path / "a", tmp_path / "b"], "weighted", out=tmp_path / "both")
    assert run.evaluation.holdout is None
    assert any("has no score of its own" in text for text in run.warnings)
    assert "has no score of its own" in (tmp_path / "both/report.html").read_text("utf-8")
    single = (tmp_path / "a/report.html").read_text("utf-8")
    assert "mean of 3 folds&#39; models" in single
    assert "that classifier has no score of its own" in single


def test_a_run_that_cannot_look_at_a_slide_leaves_it_to_the_others(runs, tmp_path):
    """One run cuts by masks alone: slides without one are predicted by the other, and that is said."""
    train(runs / "cohort", tmp_path / "strict", "folds.holdout_fraction=0.25", "tiles.fallback=exclude")
    shutil.copytree(runs / "new", tmp_path / "new")
    draw_slide(tmp_path / "new/masked.png", 90, klass=0, mask=tmp_path / "new/masked_mask.png")
    (tmp_path / "new/broken.png").write_bytes(b"\x89PNG broken")
    api.ensemble([runs / "coarse", tmp_path / "strict"], "stack-logistic", out=tmp_path / "both")
    result = predict(tmp_path / "both", tmp_path / "new")
    both, coarse = (one.table.set_index("slide") for one in (result, predict(runs / "coarse", tmp_path / "new")))
    for name in ("n0.png", "n1.png"):
        np.testing.assert_allclose(both.loc[name, COLUMNS].astype(float), coarse.loc[name, COLUMNS].astype(float))
        assert "run strict: predicted by the other runs: it yields no tile" in both.loc[name, "warnings"]
        assert both.loc[name, "num_tiles"] == coarse.loc[name, "num_tiles"] > 0
    assert "predicted by the other runs" not in both.loc["masked.png", "warnings"]
    assert result.unclassified() == ("broken.png",)
    assert both.loc["broken.png", "warnings"].startswith("NOT CLASSIFIED"), "all runs say so, so it is said once"
    assert [failure.item for failure in result.failures] == ["broken.png"]


def test_scores_and_predictions_aggregate_tiles_alike(runs):
    """The key stands in the recipe, so that what is scored is what predicts."""
    for run, expected in (("fine", "mean"), ("coarse", "max")):
        members = load_classifier(runs / run / "model").members
        assert {member.aggregator for member in members} == {expected}
        assert json.loads((runs / run / "model/member-0/model.json").read_text())["aggregator"] == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ((("none",), ("none",)), "none"),
        ((("inverse",), ("effective",)), "inverse"),
        ((("inverse",), ("none",)), "sqrt"),
        ((("none", "training.sampling.balance=class"), ("inverse",)), "inverse"),
    ],
)
def test_classes_are_weighed_as_in_training(settings, expected):
    recipes = [load_recipe("texture", [f"training.loss.class_weights={first}", *more]) for first, *more in settings]
    assert class_weighting(recipes) == expected
