"""Runs that train networks on pixels: the same folds, files and verbs as runs on features."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pandas as pd
import pytest

from tests.drawn import draw_cohort, draw_slide, recipe
from tilewise import api
from tilewise.cli.main import run as command
from tilewise.cohort import Cohort
from tilewise.errors import RecipeError, UsageError
from tilewise.inference.classifier import ClassifierBundle
from tilewise.inference.tilestore import TileStore
from tilewise.models.networks import NetworkModel
from tilewise.store import verify

pytestmark = pytest.mark.shared_cache

NETWORK = (
    "training.input=tiles", "encoder.name=simple_cnn", "encoder.init=random", "network.trained=all",
    "network.input_px=32", "training.epochs=6", "training.learning_rate=0.003", "training.num_threads=1",
)  # fmt: skip


def train(cohort, out, *settings):
    return api.train(Cohort.discover(cohort), recipe(*NETWORK, *settings), out=out, workers=1)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("pixels")
    draw_cohort(home / "cohort", num_slides=24)
    draw_cohort(home / "few", num_slides=12)
    for number in range(3):
        mask = home / "new" / "masks" / f"mask_{number:04d}.png"
        draw_slide(home / "new" / "images" / f"img_{number:04d}.png", 60 + number, klass=number % 2, mask=mask)
    train(home / "cohort", home / "run", "folds.holdout_fraction=0.2", "augment.horizontal_flip=0.5")
    return home


def test_a_run_on_pixels_is_a_run_like_any_other(home, capfd):
    table = pd.read_parquet(home / "run" / "predictions.parquet")
    assert set(table["part"]) == {"validation", "test", "holdout"}
    tested = table[table["part"] == "test"]
    assert tested["slide"].is_unique
    assert len(tested) + (table["part"] == "holdout").sum() == 24
    assert np.allclose(table[["p_A", "p_B"]].sum(axis=1), 1.0)
    assert (table["num_tiles"] > 0).all()
    assert (tested["label"] == tested["predicted"]).mean() > 0.8  # the colour tells the class
    assert verify(home / "run") == []
    assert command(["evaluate", str(home / "run"), "--json"]) == 0
    assert "macro_f1" in capfd.readouterr().out
    report = (home / "run" / "report.html").read_text("utf-8")
    assert "simple_cnn" in report
    assert "never trained" not in report
    environment = json.loads((home / "run" / "environment.json").read_text("utf-8"))
    assert environment["encoder"]["weights"] == "trained here (all), from random ones"


def test_the_bundle_alone_predicts_as_the_run_did(home, tmp_path, monkeypatch):
    folds = json.loads((home / "run" / "folds.json").read_text("utf-8"))
    holdout_slides = folds["holdout"]
    monkeypatch.setenv("TILEWISE_CACHE", str(tmp_path / "cache"))
    for part in ("images", "masks"):
        (tmp_path / "new" / part).mkdir(parents=True)
    for name in holdout_slides:
        shutil.copy(home / "cohort" / "images" / name, tmp_path / "new" / "images" / name)
        mask = name.replace("img", "mask")
        shutil.copy(home / "cohort" / "masks" / mask, tmp_path / "new" / "masks" / mask)
    prediction = api.predict(home / "run", tmp_path / "new", workers=1)
    table = pd.read_parquet(home / "run" / "predictions.parquet").set_index(["part", "slide"]).sort_index()
    for row in prediction.table.itertuples():
        assert row.p_A == pytest.approx(table.loc[("holdout", row.slide), "p_A"], abs=1e-12)
        assert row.warnings == ""
    members = ClassifierBundle.load(home / "run" / "model").members
    assert all(isinstance(member, NetworkModel) for member in members)


def test_a_new_slide_that_cannot_be_read_has_a_row_all_the_same(home, tmp_path):
    (tmp_path / "new").mkdir()
    for number, name in enumerate(("good.png", "bad.png")):
        shutil.copy(home / "cohort" / "images" / f"img_{number:04d}.png", tmp_path / "new" / name)
    data = (tmp_path / "new" / "bad.png").read_bytes()
    (tmp_path / "new" / "bad.png").write_bytes(data[: len(data) // 2])
    prediction = api.predict(home / "run", tmp_path / "new", workers=1)
    assert prediction.unclassified() == ("bad.png",)
    assert [failure.item for failure in prediction.failures] == ["bad.png"]


@pytest.mark.parametrize(
    "settings",
    [
        ("network.input=mask_channel", "views.kind=dihedral"),
        ("network.input=dual_branch", "training.mixup.level=tiles", "training.mixup.mixup_alpha=0.4"),
        ("network.input=dual_stream", "stain={method: reinhard, per: tile}"),
        ("network.input=multi_scale", "tiles.field_scales=[1.0, 2.0]", "stain={method: macenko, target: median}"),
        ("network.trained=last", "training.engine.cache_megabytes=0", "training.step.ema_decay=0.9"),
        ("network.trained=progressive", "network.epochs_per_stage=1", "head.kind=mlp", "head.norm=batch"),
    ],
)
def test_every_input_runs_from_cohort_to_prediction(home, tmp_path, settings):
    made = train(home / "few", tmp_path / "run", *settings, "training.epochs=1", "folds.num_folds=3")
    scored = made.predictions.table
    assert len(scored[scored["part"] == "test"]) == 12
    prediction = api.predict(tmp_path / "run", home / "new", workers=1)
    assert len(prediction.table) == 3
    assert (prediction.table["num_tiles"] > 0).all()
    assert verify(tmp_path / "run") == []


def test_a_run_that_is_done_is_not_done_again(home):
    before = (home / "run" / "manifest.json").read_bytes()
    again = train(home / "cohort", home / "run", "folds.holdout_fraction=0.2", "augment.horizontal_flip=0.5")
    assert again.was_finished
    assert (home / "run" / "manifest.json").read_bytes() == before


@pytest.mark.soak
def test_a_run_that_was_killed_ends_with_the_same_predictions(home, tmp_path):
    settings = [f"--set={value}" for value in (
        "tiles.size_px=32", "tiles.stride_px=null", "folds.num_folds=3", "evaluation.num_resamples=100", *NETWORK,
        "training.epochs=12", "training.patience=never", "training.step.ema_decay=0.9", "augment.quarter_turn=0.5",
    )]  # fmt: skip
    line = [
        sys.executable,
        "-m",
        "tilewise",
        "train",
        str(home / "cohort"),
        "--quiet",
        "--workers",
        "1",
        "--recipe",
        "texture",
        *settings,
    ]
    subprocess.run([*line, "--out", str(tmp_path / "whole")], check=True, timeout=500)
    child = subprocess.Popen([*line, "--out", str(tmp_path / "killed")])
    state = tmp_path / "killed" / "folds" / "1"
    deadline = time.monotonic() + 400
    while not any(state.glob("*state*")) and not (state / "model.json").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert not (tmp_path / "killed" / "manifest.json").exists()
    subprocess.run([*line, "--out", str(tmp_path / "killed")], check=True, timeout=500)
    whole, killed = (pd.read_parquet(tmp_path / name / "predictions.parquet") for name in ("whole", "killed"))
    pd.testing.assert_frame_equal(whole, killed, check_exact=True)
    assert not list((tmp_path / "killed").rglob("*state*"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("network.trained=all",), "`network` has no effect with training.input=features"),
        (("augment.horizontal_flip=0.5",), "`augment` has no effect with training.input=features"),
        (("views.kind=flips",), "`views` has no effect"),
        (("training.input=tiles",), "encoder.name: texture is computed"),
        ((*NETWORK, "features.cache=false"), "`features` has no effect with training.input=tiles"),
    ],
)
def test_what_would_have_no_effect_is_refused(settings, message):
    with pytest.raises(RecipeError, match=message.replace("`", ".")):
        recipe(*settings)


def test_what_is_not_here_is_said_before_the_folder_is_made(home, tmp_path):
    with pytest.raises(UsageError, match="weights"):
        train(home / "cohort", tmp_path / "run", "encoder.name=resnet18", "encoder.init=pretrained")
    with pytest.raises(UsageError, match="field_scales"):
        train(home / "cohort", tmp_path / "run", "network.input=multi_scale", "network.num_fields=3")
    assert not (tmp_path / "run").exists()


def test_a_slide_lost_while_tiles_are_decoded_is_a_failure(tmp_path, monkeypatch):
    monkeypatch.setenv("TILEWISE_CACHE", str(tmp_path / "cache"))
    cohort = draw_cohort(tmp_path / "cohort", num_slides=16)
    fill = TileStore.fill

    def losing(store, slide_ids):
        pixels = cv2.imread(str(cohort / "images" / "img_0002.png"))
        (cohort / "images" / "img_0002.png").write_bytes(cv2.imencode(".png", pixels)[1].tobytes()[:200])
        return fill(store, slide_ids)

    monkeypatch.setattr(TileStore, "fill", losing)
    made = train(cohort, tmp_path / "run", "training.epochs=1")
    assert [failure.item for failure in made.failures] == ["img_0002.png"]
    assert "img_0002.png" not in set(made.predictions.table["slide"])
