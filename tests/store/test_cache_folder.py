"""What killed writes leave in the cache."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tilewise
from tilewise.store import cache_dir, cache_writes
from tilewise.store.cache_folder import ROOMS, remove_partial

_DAY_S = 86_400
_KILLED = """
import os, signal, sys
from pathlib import Path
from tilewise.store import atomic_path
with atomic_path(Path(sys.argv[1]), durable=False) as temporary:
    temporary.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_write(path: Path, *, age_s: float) -> Path:
    """The temporary file that a process left which was killed so long ago."""
    before = set(path.parent.glob(".*"))
    process = subprocess.run([sys.executable, "-c", _KILLED, str(path)], check=False)
    assert process.returncode == -signal.SIGKILL
    (left,) = set(path.parent.glob(".*")) - before
    _set_age(left, age_s)
    return left


def _set_age(path: Path, age_s: float) -> None:
    os.utime(path, (time.time() - age_s,) * 2)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TILEWISE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_what_a_killed_write_left_goes_after_a_day(cache):
    old = killed_write(cache / "facts" / "ab" / "ab12.safetensors", age_s=2 * _DAY_S)
    young = killed_write(cache / "facts" / "ab" / "ab12.safetensors", age_s=_DAY_S / 2)
    others = [
        cache / name
        for name in ("facts/ab/ab12.safetensors", ".notes.tmp", "facts/.ab12.12345678.bin", ".ab12.12345678.tmp")
    ]
    for path in others:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"whole")
        _set_age(path, 2 * _DAY_S)
    assert cache_dir() == cache
    with cache_writes():
        pass
    assert not old.exists()
    assert young.exists()
    assert all(path.read_bytes() == b"whole" for path in others)


def test_a_folder_goes_when_nothing_in_it_was_written_to_for_a_day(tmp_path):
    old, young = tmp_path / "tiles" / ".ab12.12345678.tmp", tmp_path / "tiles" / ".cd34.12345678.tmp"
    for folder in (old, young):
        folder.mkdir(parents=True)
        (folder / "images.npy").write_bytes(b"half")
        _set_age(folder / "images.npy", 2 * _DAY_S if folder == old else 0)
        _set_age(folder, 2 * _DAY_S)
    assert remove_partial(tmp_path) == (1, 4)
    assert not old.exists()
    assert young.exists()


def test_it_is_looked_for_once_a_day(cache):
    (cache / "stain").mkdir(parents=True)
    left = cache / "stain" / ".ab12.12345678.tmp.json"
    left.touch()
    _set_age(left, 2 * _DAY_S)
    stamp = cache / "cleaned"
    stamp.touch()
    with cache_writes():
        pass
    assert left.exists()


def test_a_cache_that_may_not_be_cleaned_can_still_be_used(cache, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError

    monkeypatch.setattr(Path, "touch", refuse)
    with cache_writes():
        pass


def test_every_folder_of_the_cache_is_cleaned():
    sources = Path(tilewise.__file__).parent.rglob("*.py")
    named = {name for path in sources for name in re.findall(r'cache_dir\(\) / "([a-z-]+)"', path.read_text("utf-8"))}
    assert named == set(ROOMS)
