"""Where content-addressed files live: `$TILEWISE_CACHE`, else the user's cache folder."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextvars import ContextVar
from itertools import chain
from pathlib import Path

from tilewise.errors import DiskFull, UsageError
from tilewise.store.atomic import PARTIAL
from tilewise.store.disk_full import room_in

_ELSEWHERE = "set TILEWISE_CACHE to a folder that has some"
_STAMP, _DAY_S = "cleaned", 86_400
# Folders of the cache that are written to. Others are not looked into: somebody may keep a cache among files of theirs.
ROOMS = ("deep-zoom", "facts", "features", "repaired", "segment", "similar", "stain", "tiles", "weights")
_cleaned: set[Path] = set()
_log = logging.getLogger(__name__)

_scratch: ContextVar[Path | None] = ContextVar("scratch", default=None)


@contextlib.contextmanager
def scratch_cache() -> Iterator[None]:
    """A cache of its own for this thread, gone afterwards: nothing is found in it and nothing stays."""
    with tempfile.TemporaryDirectory() as folder:
        token = _scratch.set(Path(folder))
        try:
            yield
        finally:
            _scratch.reset(token)


def cache_dir() -> Path:
    """The cache folder (not made here). `$TILEWISE_CACHE` wins, then the platform's convention."""
    scratch = _scratch.get()
    if scratch is not None:
        return scratch
    chosen = os.environ.get("TILEWISE_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
        return (Path(base) if base else Path.home() / "AppData" / "Local") / "tilewise"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "tilewise"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tilewise"


@contextlib.contextmanager
def cache_writes() -> Iterator[None]:
    """Say what to do about a cache that cannot be written to; what lies in it already is not lost.

    Once a day, what killed writes left in the cache is taken away before.

    Raises:
        DiskFull: there is no room.
        UsageError: something inside the block raised OSError (no rights).
    """
    try:
        with room_in(cache_dir(), advice=_ELSEWHERE):
            _clean_once_a_day(cache_dir())
            yield
    except DiskFull as error:
        if _ELSEWHERE in str(error):
            raise
        raise DiskFull(str(error).replace("choose another folder", _ELSEWHERE)) from error
    except OSError as error:
        raise UsageError(
            f"the cache in {cache_dir()} cannot be written to ({error}); set TILEWISE_CACHE to a folder that you may "
            "write to and that has room, and run the same command again"
        ) from error


def _clean_once_a_day(cache: Path) -> None:
    """Remove what writes of killed processes left.

    Several machines may write to one cache, so that only age tells a dead process from a living one.
    """
    if cache in _cleaned:
        return
    _cleaned.add(cache)
    stamp = cache / _STAMP
    with contextlib.suppress(OSError):  # another process cleans, or nobody may
        if stamp.exists() and _age_s(stamp) < _DAY_S:
            return
        cache.mkdir(parents=True, exist_ok=True)
        stamp.touch()
        num, num_bytes = remove_partial(cache)
        if num:
            _log.info("%s: %d files (%d bytes) that killed processes left are removed", cache, num, num_bytes)


def remove_partial(cache: Path) -> tuple[int, int]:
    """Remove temporary files and folders that nothing was written to for a day.

    Returns:
        Number of files, and their bytes.
    """
    num = num_bytes = 0
    for folder, names, files in chain.from_iterable(os.walk(cache / room) for room in ROOMS):
        for name in [*names, *files]:
            path = Path(folder, name)
            if not PARTIAL.fullmatch(name) or path.is_symlink():
                continue
            parts = [path, *path.rglob("*")]
            with contextlib.suppress(OSError):
                if min(map(_age_s, parts)) < _DAY_S:
                    continue
                sizes = [part.stat().st_size for part in parts if part.is_file()]
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                num, num_bytes = num + len(sizes), num_bytes + sum(sizes)
        names[:] = [name for name in names if not PARTIAL.fullmatch(name)]
    return num, num_bytes


def _age_s(path: Path) -> float:
    return time.time() - path.stat().st_mtime
