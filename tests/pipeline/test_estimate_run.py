"""What a dry run tells, and that it leaves nothing behind."""

import json
import os
from pathlib import Path

import pytest

from tilewise import api
from tilewise.cli.estimates import estimate_text
from tilewise.cli.main import run
from tilewise.store import cache_dir, scratch_cache


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort") / "cohort"
    api.synth(folder, {"num_slides": 8, "min_side_px": 256, "classes": {"A": 1.0, "B": 1.0}}, workers=1)
    return folder


def files(*folders):
    return {path: path.stat().st_mtime_ns for folder in folders for path in folder.rglob("*")}


def test_a_dry_run_writes_nothing_and_says_what_a_run_would_do(cohort, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    cache = Path(os.environ["TILEWISE_CACHE"])
    before = files(tmp_path, cohort, cache)
    assert run(["train", str(cohort), "--recipe", "texture", "--dry-run", "--json", "--quiet"]) == 0
    assert files(tmp_path, cohort, cache) == before
    payload = json.loads(capsys.readouterr().out)
    stages = {stage["name"]: stage for stage in payload["stages"]}
    assert list(stages) == ["audit", "tiles", "features", "training"]
    assert (payload["state"], payload["num_slides"], len(payload["timed"])) == ("new", 8, 3)
    assert stages["audit"]["num_cached"] == 0
    assert stages["features"]["num_items"] >= 8
    assert all(stages[name]["seconds"] > 0 for name in ("audit", "tiles", "features"))
    assert (stages["training"]["num_items"], stages["training"]["seconds"]) == (5, None)
    assert payload["memory_bytes"] > 50_000_000


def test_what_a_run_left_in_the_cache_is_told(cohort, tmp_path):
    recipe = api.load_recipe("texture", ["folds.num_folds=2"])
    api.train(cohort, recipe, out=tmp_path / "run", workers=1)
    estimate = api.estimate_run(cohort, recipe, out=tmp_path / "run")
    audit, _, features, training = estimate.stages
    assert estimate.state == "finished"
    assert (audit.num_cached, audit.seconds) == (8, 0.0)
    assert features.num_cached == features.num_items
    assert features.seconds == 0.0
    assert training.num_items == 2
    assert "a finished run" in estimate_text(estimate)


def test_networks_and_folders_of_features(cohort, tmp_path, capsys):
    recipe = api.load_recipe("fine-tune", ["encoder.name=simple_cnn", "encoder.init=random"])
    stages = {stage.name: stage for stage in api.estimate_run(cohort, recipe).stages}
    assert list(stages) == ["audit", "tiles", "pixels", "training"]
    assert stages["training"].seconds > 0
    features = tmp_path / "features"
    features.mkdir()
    (features / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    assert run(["train", str(features), "--labels", "none.csv", "--dry-run"]) == 2
    assert "leave it out" in capsys.readouterr().err


def test_a_scratch_cache_is_gone_afterwards():
    own = cache_dir()
    with scratch_cache():
        scratch = cache_dir()
        (scratch / "x").write_text("x")
        assert scratch != own
    assert cache_dir() == own
    assert not scratch.exists()
