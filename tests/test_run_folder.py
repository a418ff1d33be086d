import contextlib
import errno
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.artifacts import rewrite_json
from tilewise.errors import ArtifactError, UsageError
from tilewise.run_folder import RunFolder
from tilewise.store import check_out_file

IDENTITY = {
    "cohort": {"root": "/data/cohort", "layout": "images"},
    "recipe": {"name": "default", "tiles": {"size_px": 64, "stride_px": None}},
    "seed": 0,
    "decisions": None,
    "notes": ["12 slides"],
    "created": "2026-01-01",
}
HOLD = """
import os, sys, time
from pathlib import Path
from tilewise.run_folder import RunFolder
from tilewise.store import check_out_file
from tests.artifacts import rewrite_json
with RunFolder(Path(sys.argv[1])).locked():
    if sys.argv[2] == "forked" and os.fork() == 0:
        time.sleep(2)
        os._exit(0)
    print("locked", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with folder.locked():
        folder.start_or_resume(IDENTITY, "name: default\n")
    return folder


def test_a_claimed_folder_says_what_it_was_made_from(folder):
    identity = folder.read_identity()
    assert {key: identity[key] for key in IDENTITY} == IDENTITY
    assert folder.recipe.read_text() == "name: default\n"


def test_a_run_folder_is_a_path(folder):
    assert Path(folder) == folder.root


def test_the_same_run_may_go_on_and_what_is_missing_comes_back(folder):
    folder.recipe.unlink()
    folder.start_or_resume({**IDENTITY, "notes": ["11 slides"]}, "name: default\n")
    assert folder.recipe.read_text() == "name: default\n"
    assert folder.read_identity()["notes"] == ["11 slides"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"recipe": {"name": "default", "tiles": {"size_px": 32}}}, "recipe.tiles.size_px: 64 there, 32 here"),
        ({"recipe": {"name": "default", "tiles": {"size_px": 64}, "new": 1}}, "recipe.new: None there, 1 here"),
        ({"seed": 1}, "seed: 0 there, 1 here"),
        ({"cohort": {"root": "/other", "layout": "images"}}, "cohort.root: '/data/cohort' there, '/other' here"),
        ({"decisions": "abc"}, "decisions: None there, 'abc' here"),
    ],
)  # fmt: skip
def test_another_run_is_refused_key_by_key_and_nothing_is_changed(folder, change, named):
    (folder.root / "folds").mkdir()
    before = {path: path.read_bytes() for path in folder.root.iterdir() if path.is_file()}
    with pytest.raises(UsageError) as raised:
        folder.start_or_resume(IDENTITY | change, "name: other\n")
    assert named in str(raised.value)
    assert "--out" in str(raised.value)
    assert {path: path.read_bytes() for path in folder.root.iterdir() if path.is_file()} == before


def test_a_run_that_trained_nothing_yet_gives_way_to_another_recipe(folder):
    folder.start_or_resume(IDENTITY | {"seed": 1}, "name: other\n")
    assert folder.read_identity()["seed"] == 1
    assert folder.recipe.read_text() == "name: other\n"


def test_the_day_of_a_run_is_that_of_its_start(folder):
    folder.start_or_resume(IDENTITY | {"created": "2026-02-02"}, "name: default\n")
    assert folder.read_identity()["created"] == "2026-01-01"


def test_a_stopped_run_is_said_to_be_stopped(folder):
    with pytest.raises(UsageError, match="not come to its end"):
        folder.require_finished()


def test_a_foreign_folder_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UsageError, match=r"thesis\.tex"):
        RunFolder(tmp_path).start_or_resume(IDENTITY, "name: default\n")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("leftover", [".lock", ".run.ab12cd34.tmp.json", ".DS_Store"])
def test_what_a_killed_first_write_left_is_nobodys_work(tmp_path, leftover):
    (tmp_path / leftover).write_text("")
    RunFolder(tmp_path).start_or_resume(IDENTITY, "name: default\n")
    assert RunFolder(tmp_path).read_identity()["seed"] == 0


def test_what_killed_writes_left_is_cleared_away(folder):
    (folder.root / "audit").mkdir()
    leftovers = [folder.root / ".manifest.ab12cd34.tmp.json", folder.root / "audit/.slides.ab12cd34.tmp.parquet"]
    for path in leftovers:
        path.write_text("half")
    with folder.locked():
        assert not any(path.exists() for path in leftovers)


def test_what_a_killed_first_write_left_is_cleared_away_and_nothing_else(tmp_path):
    leftover, other = tmp_path / ".run.ab12cd34.tmp.json", tmp_path / ".notes.ab12cd34.tmp.json"
    leftover.write_text("half")
    other.write_text("somebody's")
    with RunFolder(tmp_path).locked():
        assert (leftover.exists(), other.exists()) == (False, True)


def test_a_run_that_was_killed_between_its_first_two_files_goes_on(folder):
    # Whichever of the two is written first, the folder must be known for what it is.
    folder.recipe.unlink()
    folder.start_or_resume(IDENTITY, "name: default\n")
    assert folder.recipe.is_file()


def test_a_folder_without_a_run_and_a_damaged_run_are_said_to_be_so(tmp_path, folder):
    with pytest.raises(UsageError, match=r"make one with `tilewise train COHORT --out .*/none`"):
        RunFolder(tmp_path / "none").read_identity()
    (tmp_path / "osteo").mkdir()
    (tmp_path / "osteo/labels.csv").write_text("slide,label\n")
    with pytest.raises(UsageError, match=r"train .*/osteo --out runs/osteo`"):
        RunFolder(tmp_path / "osteo").read_identity()
    rewrite_json(folder.identity, without=("recipe",))
    with pytest.raises(ArtifactError, match="'recipe'"):
        folder.read_identity()


@pytest.mark.parametrize(
    "holder", ["alone", pytest.param("forked", marks=pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork"))]
)
def test_two_processes_cannot_write_at_once_and_a_killed_one_holds_nothing(folder, holder):
    command = [sys.executable, "-c", HOLD, str(folder.root), holder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        whose = rf"another tilewise \(process {process.pid} on {re.escape(platform.node())}\) is writing to .*run"
        with pytest.raises(UsageError, match=whose), folder.locked():
            pass
        process.kill()
        process.wait()
        # Also where the killed process had forked, and its child lives on.
        with folder.locked():
            pass


def test_a_folder_that_cannot_be_made_is_wrong_use(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match="--out"), RunFolder(tmp_path / "file" / "run").locked():
        pass


@pytest.fixture(params=[errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS])
def without_locks(request, monkeypatch):
    """As on some network file systems."""

    def unsupported(*_):
        raise OSError(request.param, "no locks")

    monkeypatch.setattr(pytest.importorskip("fcntl"), "flock", unsupported)


def test_a_file_system_without_locks_is_a_warning_not_another_writer(folder, without_locks, caplog):
    with folder.locked(), contextlib.nullcontext():
        pass
    assert "cannot be locked" in caplog.text
    assert "did not end" not in caplog.text


def test_without_locks_what_another_process_is_writing_is_left_alone(folder, without_locks):
    (folder.root / ".tiles.ab12cd34.tmp.parquet").write_text("half")
    with folder.locked():
        assert (folder.root / ".tiles.ab12cd34.tmp.parquet").exists()


@pytest.mark.skipif(os.name != "posix", reason="whether a process runs is asked on POSIX alone")
def test_without_locks_the_note_of_a_running_process_is_heeded_and_that_of_a_dead_one_is_not(
    folder, without_locks, caplog
):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        note = {"tilewise writes here": {"pid": process.pid, "host": platform.node()}}
        (folder.root / ".writer").write_text(json.dumps(note))
        with pytest.raises(UsageError, match=rf"process {process.pid} on"), folder.locked():
            pass
        process.communicate(b"\n")
    with folder.locked():
        pass
    assert "did not end" in caplog.text
    assert not (folder.root / ".writer").exists()


def test_a_recipe_that_somebody_edited_in_the_runs_folder_is_kept_beside_the_runs_own(folder):
    folder.recipe.write_text("name: mine\n")
    folder.start_or_resume(IDENTITY, "name: default\n")
    assert folder.recipe.read_text() == "name: default\n"
    assert [path.read_text() for path in folder.root.glob("recipe.*.yaml")] == ["name: mine\n"]


def test_a_folder_of_somebody_elses_loses_nothing_to_a_lock(tmp_path):
    for name in (".lock", ".writer", "sub/.settings.tmpl", ".notes.12345678.tmp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    (tmp_path / "work.txt").write_text("mine")
    folder = RunFolder(tmp_path)
    with folder.locked(), pytest.raises(UsageError, match="is not empty"):
        folder.start_or_resume(IDENTITY, "name: default\n")
    assert {path.read_text() for path in tmp_path.rglob("*") if path.is_file()} == {"mine"}


def test_every_file_of_a_run_is_guarded_against_other_results(folder):
    paths = [
        value for name in dir(RunFolder) if isinstance(value := getattr(folder, name), Path) and name != "root"
    ] + [folder.fold(0), folder.root / "manifest.json"]
    for path in paths:
        with pytest.raises(UsageError, match="belongs to the run"):
            check_out_file(path, is_own=lambda _: True, contents="table")
    check_out_file(folder.root / "submission.csv", is_own=lambda _: False, contents="table")
