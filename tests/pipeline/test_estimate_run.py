"""What a dry run tells, and that it leaves nothing behind."""

import json
import os
from pathlib import Path

import pytest

from tests.interchange.written import grid, vectors, write_trident
from tilewise import api
from tilewise.cli.estimates import estimate_text
from tilewise.cli.main import run
from tilewise.encoders import find_weights
from tilewise.errors import FoldsError, LicenceNotAccepted, UsageError
from tilewise.pipeline import estimate_run
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
    other = recipe.with_(**{"folds.num_folds": 3})
    with pytest.raises(UsageError, match=r"holds another run .*num_folds"):
        api.estimate_run(cohort, other, out=tmp_path / "run")


def test_networks_and_folders_of_features(cohort, tmp_path, capsys):
    settings = ["encoder.name=simple_cnn", "encoder.init=random", "network.input_px=64", "tiles.max_tiles=4"]
    recipe = api.load_recipe("fine-tune", settings)
    stages = {stage.name: stage for stage in api.estimate_run(cohort, recipe).stages}
    assert list(stages) == ["audit", "tiles", "pixels", "training"]
    assert stages["training"].seconds > 0
    features = tmp_path / "features"
    features.mkdir()
    write_trident(features / "a.h5", vectors(3), grid(3))
    assert run(["train", str(features), "--labels", "none.csv", "--dry-run"]) == 2
    assert "leave it out" in capsys.readouterr().err


def test_what_training_refuses_is_refused(cohort, tmp_path, monkeypatch, capsys):
    decisions = tmp_path / "decisions.csv"
    decisions.write_text("slide,finding,proposal,decision\nnobody,ink,keep,drop\n")
    table = tmp_path / "labels.csv"
    table.write_text("slide,label\n")
    command = ["train", str(cohort), "--recipe", "texture", "--dry-run", "--quiet"]
    for option, value, message in (
        ("--decisions", decisions, "nobody"),
        ("--time-limit", "20m", "a time limit is for recipes with a ladder"),
        ("--labels", table, "no features were found"),
    ):
        assert run([*command, option, str(value)]) == 2
        assert message in capsys.readouterr().err
    monkeypatch.setenv("TILEWISE_EXECUTOR", "ray")
    assert run(command) == 2
    assert "no cluster is known" in capsys.readouterr().err


def test_no_weights_are_fetched_and_no_more_than_a_few_slides_read(cohort, monkeypatch):
    monkeypatch.setattr(find_weights, "_fetch", lambda card: pytest.fail(f"fetches {card.name}"))
    monkeypatch.setattr(find_weights, "_hub_is_off", lambda: False)
    looked_up = []
    monkeypatch.setattr(estimate_run, "is_measured", lambda request: looked_up.append(request) or True)
    monkeypatch.setattr(estimate_run, "_NUM_LOOKED_UP", 3)
    estimate = api.estimate_run(cohort, api.load_recipe("texture", ["encoder.name=resnet18"]))
    audit, _, features, _ = estimate.stages
    assert (len(looked_up), audit.num_cached) == (3, 8)
    assert features.seconds is None
    assert "tiles by resnet18, whose weights are to be fetched" in estimate_text(estimate)
    with pytest.raises(LicenceNotAccepted):
        api.estimate_run(cohort, api.load_recipe("texture", ["encoder.name=uni"]))


def test_a_scratch_cache_is_gone_afterwards():
    own = cache_dir()
    with scratch_cache():
        scratch = cache_dir()
        (scratch / "x").write_text("x")
        assert scratch != own
    assert cache_dir() == own
    assert not scratch.exists()


@pytest.mark.parametrize("verb", [api.train, api.estimate_run])
def test_more_folds_than_groups_are_refused_before_any_work(cohort, tmp_path, verb):
    recipe = api.load_recipe("texture", ["folds.num_folds=50"])
    with pytest.raises(FoldsError, match=r"cannot make 50 folds; use --set folds.num_folds=\d or fewer"):
        verb(cohort, recipe, out=tmp_path / "run", workers=1)
    assert not (tmp_path / "run").exists()
