"""Heads that are fitted at once through the whole pipeline: trained, resumed, reported, explained, deployed."""

import csv
import json

import numpy as np
import pandas as pd
import pytest

from tests.drawn import draw_cohort, draw_slide
from tests.pipeline.conftest import train
from tilewise import api
from tilewise.cohort import Cohort
from tilewise.explain.config import ExplainConfig
from tilewise.reporting.gather import gather
from tilewise.run_folder import RunFolder

pytestmark = pytest.mark.shared_cache

FILES = ("predictions.parquet", "evaluation.json", "model/classifier.json", "folds/0/model.json", "folds/0/history.csv")
LDA = ("head.kind=lda", "head.refit=false", "training.epochs=null")
LOGISTIC = ("head.kind=logistic", "training.epochs=null", "head.aggregate=feature_mean_and_deviation")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    draw_cohort(home / "cohort", num_slides=18)
    train(home / "cohort", home / "lda", *LDA)
    train(home / "cohort", home / "logistic", *LOGISTIC)
    return home


@pytest.mark.parametrize(("kind", "settings"), [("lda", LDA), ("logistic", LOGISTIC)])
def test_it_is_resumed_without_being_fitted_again(home, kind, settings):
    run = home / kind
    whole = {name: (run / name).read_bytes() for name in FILES}
    for name in ("manifest.json", "predictions.parquet", "folds/1/model.json"):
        (run / name).unlink()
    modified_ns = (run / "folds/0/model.safetensors").stat().st_mtime_ns
    train(home / "cohort", run, *settings)
    assert {name: (run / name).read_bytes() for name in FILES} == whole
    assert (run / "folds/0/model.safetensors").stat().st_mtime_ns == modified_ns
    origin = json.loads(whole["folds/0/model.json"])["origin"]
    assert (origin["shrinkage"] is None) == (kind == "logistic") == (origin["logistic_c"] is not None)


@pytest.mark.parametrize("kind", ["lda", "logistic"])
def test_it_learns_predicts_and_warns_of_other_slides(home, tmp_path, kind):
    table = pd.read_parquet(home / kind / "predictions.parquet")
    tested = table[table["part"] == "test"]
    assert (tested["predicted"] == tested["label"]).mean() > 0.8
    for number in range(4):
        mask = tmp_path / f"new/masks/mask_{number:04d}.png"
        draw_slide(tmp_path / f"new/images/img_{number:04d}.png", 50 + number, klass=number % 2, mask=mask)
    draw_slide(tmp_path / "new/images/other.png", 60, klass=-2)
    prediction = api.predict(home / kind, Cohort.discover(tmp_path / "new", purpose="predict"), workers=1).table
    assert prediction["predicted"].tolist()[:4] == ["A", "B", "A", "B"]
    np.testing.assert_allclose(prediction[["p_A", "p_B"]].sum(axis=1), 1.0, atol=1e-6)
    far = prediction["warnings"].str.contains("out of distribution")
    assert far.tolist()[4]


def test_history_and_report_tell_what_was_tried(home):
    for kind, num_rows in {"lda": 1, "logistic": 9}.items():
        data = gather(RunFolder(home / kind))
        assert [len(history.fits) for history in data.histories] == [num_rows] * 3
        assert all(history.fit.validation_loss is not None for history in data.histories)
        page = (home / kind / "report.html").read_text("utf-8")
        assert "The head is fitted at once, without epochs." in page
        assert ("Penalty, C" in page) == (kind == "logistic")
        assert ("Shrinkage" in page) == (kind == "lda")
        assert "epochs from left to right" not in page


@pytest.mark.parametrize("kind", ["lda", "logistic"])
def test_maps_show_where_the_class_is(home, tmp_path, kind):
    config = ExplainConfig(limit=2)
    result = api.explain(home / kind, home / "cohort", out=tmp_path / "maps", config=config, workers=1)
    with result.table.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    predictions = api.predict(home / kind, home / "cohort", workers=1).table.set_index("slide")
    for name, drawn in result.drawn.items():
        values = [float(row["probability"]) for row in rows if row["slide"] == name]
        assert len(values) == predictions.loc[name, "num_tiles"] > 1
        assert drawn == predictions.loc[name, "predicted"]
        assert np.mean(values) > 0.6
    assert all(row["attention"] == "" for row in rows)
    page = result.page.read_text("utf-8")
    assert ("whose deviations are those of the slide" in page) == (kind == "logistic")
    assert ("a slide would get that has no other" in page) == (kind == "lda")


def test_refit_learns_from_validation_and_still_predicts_it_honestly(home, tmp_path):
    run = train(home / "cohort", tmp_path / "refit", *LDA, "head.refit=true", "ensemble.weights=fitted")
    tables = [pd.read_parquet(folder / "predictions.parquet") for folder in (home / "lda", tmp_path / "refit")]
    columns = ["p_A", "p_B"]
    # The logarithm, for a linear head is sure of slides as easy as these.
    validation, test = (
        [np.log(table[table["part"] == part][columns].clip(1e-30)) for table in tables]
        for part in ("validation", "test")
    )
    np.testing.assert_allclose(*validation, atol=1e-3)
    assert not np.allclose(*test, atol=1e-3)
    origin = json.loads((tmp_path / "refit/folds/0/model.json").read_text())["origin"]
    assert len(origin["validation"]) == (tables[1].query("fold == 0 and part == 'validation'")).shape[0]
    train(home / "cohort", tmp_path / "refit", *LDA, "head.refit=true", "ensemble.weights=fitted")
    assert not any("no validation part" in warning for warning in run.warnings)


def test_folds_without_validation_learn_from_all_there_is(home, tmp_path):
    settings = (*LDA, "folds.validation_fraction=0")
    run = train(home / "cohort", tmp_path / "whole", *settings)
    table = pd.read_parquet(tmp_path / "whole/predictions.parquet")
    assert set(table["part"]) == {"test"}
    assert (table["predicted"] == table["label"]).mean() > 0.8
    assert not any("last epoch" in warning for warning in run.warnings)
    assert [history.fit.validation_loss for history in gather(RunFolder(tmp_path / "whole")).histories] == [None] * 3
    other = train(home / "cohort", tmp_path / "idle", *settings, "head.refit=true")
    assert "head.refit had no effect: no fold has a validation part." in other.warnings
    both = api.ensemble([run, other], "average", out=tmp_path / "both")
    assert both.evaluation.out_of_fold.macro_f1.value > 0.8


def test_both_are_combined(home, tmp_path):
    run = api.ensemble([home / "lda", home / "logistic"], "average", out=tmp_path / "both")
    assert run.evaluation.out_of_fold.macro_f1.value > 0.8
