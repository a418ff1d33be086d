"""What a dry run tells of a sweep, held against what the sweep then does."""

import json

import pytest

from tests.drawn import SETTINGS, draw_cohort
from tilewise import api
from tilewise.cli.estimates import estimate_text
from tilewise.cli.main import run as command
from tilewise.errors import UsageError
from tilewise.run_folder import RunFolder
from tilewise.sweep.grid import Grid

FACTORS = {"tiles.size_px": [32, 48], "head.norm": ["none", "batch"]}


def grid(**more):
    return Grid.model_validate({"name": "small", **more}).over("texture", SETTINGS)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("estimated")
    draw_cohort(home / "cohort", num_slides=12)
    return home


def test_what_variants_share_counts_once_before_and_after_the_sweep(home, tmp_path):
    out = tmp_path / "sweep"
    estimate = api.estimate_sweep(home / "cohort", grid(factors=FACTORS), out=out, workers=1)
    assert not out.exists()
    assert (estimate.state, estimate.num_runs, estimate.unit) == ("new", 4, "variant")
    stages = {stage.name: stage for stage in estimate.stages}
    assert list(stages) == ["audit", "tiles", "features", "training"]
    assert [stages[name].num_items for name in ("audit", "tiles", "training")] == [12, 24, 12]
    assert stages["features"].runs == "in 2 ways, of all 4 variants"
    assert stages["audit"].runs == stages["training"].runs == "of all 4 variants"
    assert all(stages[name].seconds > 0 for name in ("audit", "tiles", "features"))
    assert stages["training"].seconds is None

    api.sweep(home / "cohort", grid(factors=FACTORS), out=out, workers=1)
    tables = list((out / "shared").glob("tiles-*.parquet"))
    assert len(tables) * 12 == stages["tiles"].num_items
    runs = [RunFolder(path) for path in (out / "variants").iterdir()]
    assert sum(len(list((run.root / "folds").iterdir())) for run in runs) == stages["training"].num_items
    done = api.estimate_sweep(home / "cohort", grid(factors=FACTORS), out=out, workers=1)
    assert (done.state, done.num_runs, done.stages) == ("finished", 0, ())
    assert "nothing would be trained" in estimate_text(done)
    with pytest.raises(UsageError, match="holds another sweep"):
        api.estimate_sweep(home / "cohort", grid(factors={"head.norm": ["batch", "none"]}), out=out)


def test_networks_are_timed_one_by_one_and_what_cannot_be_trained_is_named(home, tmp_path):
    network = {"encoder.name": "simple_cnn", "encoder.init": "random", "training.input": "tiles", "training.epochs": 1}
    variants = [
        {"name": "small", "set": network},
        {"name": "smaller", "set": {**network, "training.learning_rate": 0.002}},
        {"name": "head"},
        {"name": "no weights", "set": {"encoder.name": "uni", "encoder.weights": "nowhere.pt"}},
    ]
    estimate = api.estimate_sweep(home / "cohort", grid(variants=variants), out=tmp_path / "sweep", workers=1)
    trainings = {stage.note: stage for stage in estimate.stages if stage.name == "training"}
    (network_note,) = (note for note in trainings if "network" in note)
    assert trainings[network_note].runs == "of 2 variants"
    assert trainings[network_note].num_items == 6
    assert trainings[network_note].seconds > 0
    (failing,) = (stage for stage in estimate.stages if stage.name == "failing")
    assert "no weights" in failing.note
    assert "failing" in estimate_text(estimate)


def test_the_command_writes_nothing_and_refuses_features(home, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "grid.yaml").write_text("name: norms\nfactors: {head.norm: [none, batch]}\n")
    options = ["--grid", "grid.yaml", "--recipe", "texture", "--out", "sweep", "--quiet", "--dry-run"]
    assert command(["sweep", str(home / "cohort"), *options, "--json"]) == 0
    payload = json.loads(capsys.readouterr().out)
    assert (payload["num_runs"], payload["unit"], payload["out"]) == (2, "variant", "sweep")
    assert [path.name for path in tmp_path.iterdir()] == ["grid.yaml"]
    assert command(["sweep", str(home / "cohort"), *options, "--executor", "ray"]) == 2
    assert "on this machine" in capsys.readouterr().err
