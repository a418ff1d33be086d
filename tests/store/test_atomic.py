import contextlib
import os
import resource
import stat
from pathlib import Path

import pytest

from tilewise.store import atomic_path, flush_together, write_bytes, write_text


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail():
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["a.txt"]


def test_files_that_are_written_together_are_on_disk_when_the_block_ends_and_not_before(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: flushed.append(Path(f"/proc/self/fd/{descriptor}").resolve()))
    with flush_together():
        for name in ("a.txt", "b/c.txt", "a.txt"):
            write_text(tmp_path / name, name)
        write_bytes(tmp_path / "cached", b"", durable=False)
        assert flushed == []
    assert flushed == [tmp_path / "a.txt", tmp_path / "b/c.txt", tmp_path, tmp_path / "b"]
    write_text(tmp_path / "a.txt", "again")
    assert len(flushed) == 6
    with contextlib.suppress(RuntimeError), flush_together():
        write_text(tmp_path / "left.txt", "by a block that did not end well")
        raise RuntimeError
    assert len(flushed) == 6


def test_the_file_has_the_permissions_other_files_get(tmp_path):
    write_bytes(tmp_path / "written", b"x")
    (tmp_path / "ordinary").write_bytes(b"x")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("written", "ordinary")}
    assert len(modes) == 1


def test_folders_are_made_and_the_suffix_is_kept_for_writers_that_go_by_it(tmp_path):
    with atomic_path(tmp_path / "deep" / "table.parquet") as temporary:
        assert temporary.suffix == ".parquet"
        assert temporary.parent == tmp_path / "deep"
        temporary.write_bytes(b"x")
    assert (tmp_path / "deep" / "table.parquet").read_bytes() == b"x"


def test_a_full_disk_names_the_file_and_leaves_the_old_one(tmp_path):
    path = tmp_path / "a.bin"
    write_bytes(path, b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"a\.bin"):
            write_bytes(path, bytes(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["a.bin"]


def test_a_folder_that_cannot_be_written_to_names_the_file_that_was_asked_for(tmp_path):
    (tmp_path / "folder").symlink_to("/proc/self/task")  # nobody may write there, not even root
    with pytest.raises(OSError, match=r"folder/a\.bin") as raised:
        write_bytes(tmp_path / "folder" / "a.bin", b"x")
    assert "tmp" not in raised.value.filename.rpartition("/")[2]
