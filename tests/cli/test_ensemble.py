"""`tilewise ensemble`, as a person or a script calls it."""

import json

import pytest

from tests.drawn import SETTINGS, draw_cohort
from tilewise.cli.main import run

pytestmark = pytest.mark.shared_cache


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    draw_cohort(home / "cohort", num_slides=12)
    for name, size in (("a", 32), ("b", 48)):
        settings = [part for one in (*SETTINGS, f"tiles.size_px={size}") for part in ("--set", one)]
        command = [
            "train",
            str(home / "cohort"),
            "--out",
            str(home / name),
            "--workers",
            "1",
            "--quiet",
            "--recipe",
            "texture",
            *settings,
        ]
        assert run(command) == 0
    return home


def test_two_runs_become_one_that_predicts(home, tmp_path, capfd):
    out = tmp_path / "both"
    arguments = ["ensemble", str(home / "a"), str(home / "b"), "--method", "weighted", "--out", str(out)]
    assert run([*arguments, "--json"]) == 0
    payload = json.loads(capfd.readouterr().out)
    assert payload["method"] == "weighted"
    assert payload["out_of_fold"]["num_slides"] == 12
    assert run(arguments) == 0
    text = capfd.readouterr()
    assert "macro_f1" in text.out
    assert "nothing had to be done" in text.err
    submission = str(tmp_path / "s.csv")
    assert run(["predict", str(out), str(home / "cohort/images"), "--out", submission, "--quiet"]) == 0
    for command in ("verify", "evaluate", "report"):
        assert run([command, str(out)]) == 0


def test_wrong_use_is_told_in_one_message(home, tmp_path, capfd):
    assert run(["ensemble", str(home / "a"), "--out", str(tmp_path / "x")]) == 2
    assert "two runs or more" in capfd.readouterr().err
    assert run(["ensemble", str(home / "a"), str(home / "b"), "--method", "oracle", "--out", str(tmp_path / "x")]) == 2
    assert "stack-logistic" in capfd.readouterr().err
    assert run(["ensemble", str(home / "a"), str(tmp_path / "none"), "--out", str(tmp_path / "x")]) == 2
    assert "holds no run" in capfd.readouterr().err
