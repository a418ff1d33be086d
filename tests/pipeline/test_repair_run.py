"""Every damaged file of a run is made again, byte for byte, and nothing that somebody edited is lost."""

import shutil

import pytest

from tests.pipeline.conftest import train
from tilewise import api
from tilewise.cli.main import run as command
from tilewise.errors import ArtifactError, UsageError
from tilewise.store import Manifest

DAMAGES = {
    "cut": lambda data: data[: len(data) // 2],
    "flipped": lambda data: data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :],
    "empty": lambda data: b"",
    "gone": lambda data: None,
}


@pytest.fixture
def copy(home, tmp_path, monkeypatch):
    monkeypatch.setenv("TILEWISE_CACHE", str(home / "cache"))
    shutil.copytree(home / "run", tmp_path / "run")
    return tmp_path / "run"


def damage(path, kind):
    data = DAMAGES[kind](path.read_bytes())
    path.unlink() if data is None else path.write_bytes(data)


def differing(run, home):
    whole = Manifest.read(home / "run").files
    return sorted(name for name in whole if (home / "run" / name).read_bytes() != (run / name).read_bytes())


@pytest.mark.parametrize("kind", DAMAGES)
def test_all_files_damaged_at_once_are_made_again(home, copy, kind):
    names = sorted(Manifest.read(copy).files)
    for name in names:
        damage(copy / name, kind)
    repaired = api.repair(copy, workers=1)
    assert (list(repaired.remade), repaired.differing, repaired.lost) == (names, (), ())
    assert differing(copy, home) == []
    assert {item.what for item in api.verify(copy)} <= {"unlisted"}


@pytest.mark.soak
@pytest.mark.parametrize("kind", DAMAGES)
def test_each_file_damaged_alone_is_made_again(home, copy, kind):
    for name in Manifest.read(copy).files:
        damage(copy / name, kind)
        assert api.repair(copy, workers=1).remade == (name,)
        assert differing(copy, home) == []


def test_a_damaged_history_is_not_listed_as_it_is_by_the_next_training(home, copy):
    damage(copy / "folds/1/history.csv", "cut")
    assert not train(home / "cohort", copy, "folds.holdout_fraction=0.25").was_finished
    assert differing(copy, home) == []


def test_a_damaged_manifest_is_made_again(home, copy):
    damage(copy / "manifest.json", "flipped")
    with pytest.raises(ArtifactError, match="--repair"):
        api.verify(copy)
    assert api.repair(copy, workers=1).damage[0].path == "manifest.json"
    assert differing(copy, home) == []
    assert api.verify(copy) == []


def test_what_somebody_edited_is_kept_beside_and_the_command_says_so(home, copy, capsys):
    (copy / "audit/decisions.csv").write_text("slide,decision\nimg_0001.png,drop\n")
    assert command(["verify", str(copy)]) == 1
    assert "verify" in capsys.readouterr().err
    assert command(["verify", str(copy), "--repair", "--workers", "1", "--quiet"]) == 0
    out = capsys.readouterr().out
    (copied,) = (copy / "audit").glob("decisions.*-*.csv")
    assert f"kept      audit/decisions.csv as {copied.name}" in out
    assert "remade    audit/decisions.csv" in out
    assert "img_0001.png,drop" in copied.read_text()
    assert differing(copy, home) == []
    assert command(["verify", str(copy)]) == 0


def test_a_run_with_decisions_takes_its_own_table_or_asks_for_the_one_it_was_made_with(home, tmp_path, monkeypatch):
    monkeypatch.setenv("TILEWISE_CACHE", str(home / "cache"))
    table = tmp_path / "decisions.csv"
    table.write_text("slide,decision\nimg_0001.png,drop\n")
    run = tmp_path / "run"
    train(home / "cohort", run, decisions=table)
    damage(run / "tiles.parquet", "flipped")
    assert api.repair(run, workers=1).remade == ("tiles.parquet",)
    damage(run / "audit/decisions.csv", "cut")
    with pytest.raises(UsageError, match="--decisions"):
        api.repair(run, workers=1)
    assert "audit/decisions.csv" in api.repair(run, decisions=table, workers=1).remade


def test_nothing_is_taken_away_where_the_cohort_is_gone(home, copy, monkeypatch):
    damage(copy / "predictions.parquet", "cut")
    before = (copy / "predictions.parquet").read_bytes()
    (home / "cohort").rename(home / "moved")
    try:
        with pytest.raises(UsageError, match="cohort"):
            api.repair(copy, workers=1)
    finally:
        (home / "moved").rename(home / "cohort")
    assert (copy / "predictions.parquet").read_bytes() == before
