"""Where content-addressed files live: `$TILEWISE_CACHE`, else the user's cache folder."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

from tilewise.errors import DiskFull, UsageError
from tilewise.store.disk_full import room_in

_ELSEWHERE = "set TILEWISE_CACHE to a folder that has some"

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

    Raises:
        DiskFull: there is no room.
        UsageError: something inside the block raised OSError (no rights).
    """
    try:
        with room_in(cache_dir(), advice=_ELSEWHERE):
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
