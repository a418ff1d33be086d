"""A full disk stops with one message that names the folder, and nothing half-written counts as done."""

import contextlib
import errno
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

from tests.drawn import draw_cohort, recipe
from tilewise import api
from tilewise.cli.main import run as command
from tilewise.errors import DiskFull
from tilewise.execution import run_each
from tilewise.store import (
    Manifest,
    atomic_path,
    cache_dir,
    cache_writes,
    room_in,
    write_bytes,
    write_checksummed_tensors,
    write_json,
    write_table,
)

NOISE = np.random.default_rng(0).integers(0, 256, 400_000, dtype=np.uint8)


def save_h5(path):
    with atomic_path(path) as here, h5py.File(here, "w") as file:
        file.create_dataset("features", data=NOISE)


def save_torch(path):
    with atomic_path(path) as here:
        torch.save(torch.from_numpy(NOISE), here)


def save_npy(path):
    with atomic_path(path) as here, here.open("wb") as stream:
        np.save(stream, NOISE)


def save_folder_npy(path):
    with room_in(path.parent):
        np.save(path.with_suffix(".npy"), NOISE)


WRITERS = {
    "bytes": lambda path: write_bytes(path, NOISE.tobytes()),
    "json": lambda path: write_json(path, {"a": NOISE.tolist()}, schema="x", version=1),
    "table": lambda path: write_table(path, pd.DataFrame({"a": NOISE}), schema="x", version=1),
    "tensors": lambda path: write_checksummed_tensors(path, {"a": NOISE}, {}),
    "h5": save_h5,
    "torch": save_torch,
    "npy": save_npy,
}


@pytest.mark.parametrize("kind", WRITERS)
def test_every_writer_names_the_folder_and_leaves_the_old_file(disk, kind):
    folder = disk(200)
    (folder / "old.bin").write_bytes(b"old")
    with pytest.raises(DiskFull, match="disk is full") as raised:
        WRITERS[kind](folder / "old.bin")
    assert str(folder) in str(raised.value)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"old.bin": b"old"}
    disk(4000)
    WRITERS[kind](folder / "old.bin")
    assert (folder / "old.bin").read_bytes() != b"old"


def test_arrays_that_are_written_as_they_come_are_told_as_well(disk):
    with pytest.raises(DiskFull, match="disk is full"):
        save_folder_npy(disk(200) / "tiles")


def test_what_did_not_fit_may_be_told_when_the_file_is_flushed(tmp_path, monkeypatch):
    write_bytes(tmp_path / "a", b"old")

    def refuse(number):
        def fsync(descriptor):
            raise OSError(number, "of the disk")

        monkeypatch.setattr("os.fsync", fsync)

    for number, error in ((errno.ENOSPC, DiskFull), (errno.EIO, OSError)):
        refuse(number)
        with pytest.raises(error):
            write_bytes(tmp_path / "a", b"new")
        assert (tmp_path / "a").read_bytes() == b"old"
    refuse(errno.EOPNOTSUPP)  # as some network file systems answer
    write_bytes(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"


def test_another_error_on_a_disk_with_room_stays_what_it_is(tmp_path):
    with pytest.raises(RuntimeError, match="of its own"), atomic_path(tmp_path / "a"):
        raise RuntimeError("of its own")
    with pytest.raises(PermissionError), atomic_path(tmp_path / "a"):
        raise PermissionError(errno.EACCES, "no")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_the_cache_says_how_it_is_moved(number):
    with pytest.raises(DiskFull, match="set TILEWISE_CACHE") as raised, cache_writes():
        raise OSError(number, "full")
    assert str(cache_dir()) in str(raised.value)
    with pytest.raises(DiskFull, match="set TILEWISE_CACHE"), cache_writes(), atomic_path(cache_dir() / "a"):
        raise OSError(number, "full")


def write_here(path):
    write_bytes(Path(path), NOISE.tobytes())


@pytest.mark.pool
def test_a_batch_of_several_processes_stops_with_one_error(disk):
    folder = disk(200)
    items = {str(number): str(folder / str(number)) for number in range(6)}
    with pytest.raises(DiskFull, match="disk is full"):
        run_each(write_here, items, stage="writing", workers=2)


@pytest.mark.parametrize("kilobytes", [16, 60, 180])
def test_a_run_on_a_full_disk_stops_with_one_message_and_goes_on_when_there_is_room(disk, kilobytes, tmp_path, capsys):
    cohort = draw_cohort(tmp_path / "cohort", num_slides=8)
    whole = api.train(cohort, recipe("folds.num_folds=2"), out=tmp_path / "whole" / "run", workers=1)
    out = disk(kilobytes) / "run"
    (tmp_path / "recipe.yaml").write_text(recipe("folds.num_folds=2").to_yaml())
    arguments = ["train", str(cohort), "--recipe", str(tmp_path / "recipe.yaml"), "--out", str(out), "--workers", "1"]
    assert command([*arguments, "--quiet"]) == 1
    (message,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert "disk is full" in message
    assert str(out) in message
    assert not (out / "manifest.json").exists()
    disk(8000)
    with contextlib.redirect_stdout(None):
        assert command([*arguments, "--quiet"]) == 0
    assert Manifest.read(out).files == Manifest.read(whole.folder.root).files
