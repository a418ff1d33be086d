import os
from pathlib import Path

import pytest

from tilewise.errors import UsageError
from tilewise.execution.shared_files import SharedFiles


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "slide.png").write_bytes(b"pixels")
    files = SharedFiles.of([tmp_path / "slide.png", tmp_path / "gone.png"], [tmp_path / "runs" / "first"])
    yield files
    files.remove()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_node_that_sees_all_goes_to_the_current_folder(files, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    files.check("n1")
    assert Path.cwd() == tmp_path
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("content", [None, b"other pixels"])
def test_a_node_without_the_cohort_is_named(files, tmp_path, content):
    path = tmp_path / "slide.png"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(UsageError, match=r"node n1 of the Ray cluster does not see .*slide\.png; put the cohort"):
        files.check("n1")


def test_a_node_that_does_not_share_the_output_is_named(files):
    files.remove()
    with pytest.raises(UsageError, match=r"node n1 of the Ray cluster does not share .*; put --out and TILEWISE_CACHE"):
        files.check("n1")


def test_a_node_without_the_current_folder_is_named(files, monkeypatch):
    monkeypatch.setattr(os, "chdir", lambda _: (_ for _ in ()).throw(FileNotFoundError("gone")))
    with pytest.raises(UsageError, match="node n1 of the Ray cluster has no folder"):
        files.check("n1")


def test_marks_of_killed_commands_go_after_a_month(tmp_path):
    old, new = (tmp_path / f".tilewise-mark-{age}" for age in ("old", "new"))
    for mark, days in ((old, 40), (new, 2)):
        mark.touch()
        os.utime(mark, (mark.stat().st_mtime - days * 86_400,) * 2)
    SharedFiles.of([], [tmp_path]).remove()
    assert list(tmp_path.iterdir()) == [new]


def test_marks_before_a_folder_that_cannot_be_written_to_go(tmp_path):
    with pytest.raises(UsageError, match="cannot be written to"):
        SharedFiles.of([], [tmp_path, Path("/proc/nothing")])
    assert list(tmp_path.iterdir()) == []
