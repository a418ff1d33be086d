"""What a dry run tells of a search."""

import json
import math

import pytest

from tests.drawn import draw_cohort, recipe
from tilewise import api
from tilewise.cli.estimates import estimate_text
from tilewise.cli.main import run as command
from tilewise.errors import ArgumentError, RecipeError
from tilewise.tuning.space import load_space

RATE = {"training.learning_rate": {"low": 0.0001, "high": 0.5, "log": True}}


@pytest.mark.parametrize(
    ("space", "ways"),
    [
        (RATE, 1),
        ({"tiles.size_px": {"choices": [32, 48, 64]}}, 3),
        ({"tiles.size_px": {"low": 32, "high": 64, "step": 16}}, 3),
        ({"tiles.size_px": {"low": 32, "high": 64}}, 33),
        ({"tiles.tissue_min": {"low": 0.1, "high": 0.5}}, math.inf),
        ({"way": [{"name": "a", "head.kind": "linear"}, {"name": "b", "tiles.size_px": 48}]}, 2),
        (
            {
                "encoder.name": {"choices": ["texture", "simple_cnn"]},
                "way": [{"name": "a", "tiles.size_px": {"choices": [32, 48]}}, {"name": "b", "tiles.size_px": 64}],
            },
            6,
        ),
    ],
)
def test_trials_differ_in_so_many_ways(space, ways):
    assert load_space(space).num_ways(("tiles", "encoder")) == ways


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("estimated")
    draw_cohort(home / "cohort", num_slides=16)
    return home


def test_what_trials_share_counts_once(home, tmp_path):
    out = tmp_path / "search"
    estimate = api.estimate_tuning(home / "cohort", RATE, recipe(), out=out, num_trials=5, workers=1)
    assert not out.exists()
    assert (estimate.state, estimate.num_runs, estimate.unit) == ("new", 5, "trial")
    stages = {stage.name: stage for stage in estimate.stages}
    assert stages["tiles"].num_items == 16
    assert stages["features"].runs == "shared by all trials"
    assert stages["training"].num_items == 6 * 3
    varied = {**RATE, "tiles.size_px": {"choices": [32, 48, 64]}}
    other = {one.name: one for one in api.estimate_tuning(home / "cohort", varied, recipe(), out=out, workers=1).stages}
    assert other["audit"].runs == "shared by all trials"
    assert other["tiles"].num_items == 4 * 16
    assert other["features"].runs.startswith("in up to 4 ways")

    api.tune(home / "cohort", RATE, recipe(), out=out, num_trials=1, workers=1)
    again = api.estimate_tuning(home / "cohort", RATE, recipe(), out=out, num_trials=5, workers=1)
    assert again.state == "finished"
    assert "a finished search" in estimate_text(again)


def test_what_cannot_be_searched_is_refused_as_by_the_search(home, tmp_path):
    with pytest.raises(RecipeError, match=r"head\.nothing"):
        api.estimate_tuning(home / "cohort", {"head.nothing": {"low": 0, "high": 1}}, recipe(), out=tmp_path / "a")
    with pytest.raises(ArgumentError, match="num_trials"):
        api.estimate_tuning(home / "cohort", RATE, recipe(), out=tmp_path / "a", num_trials=0)


def test_the_command_writes_nothing(home, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.yaml").write_text("head.dropout: {low: 0.0, high: 0.5}\n")
    options = ["--space", "space.yaml", "--recipe", "texture", "--out", "search", "--trials", "3", "--quiet"]
    assert command(["tune", str(home / "cohort"), *options, "--dry-run", "--json"]) == 0
    payload = json.loads(capsys.readouterr().out)
    assert (payload["num_runs"], payload["unit"], payload["out"]) == (3, "trial", "search")
    assert [path.name for path in tmp_path.iterdir()] == ["space.yaml"]
