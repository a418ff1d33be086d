"""One writer in a folder at a time: a lock that dies with its process, and a note that says whose it is."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tilewise.errors import UsageError
from tilewise.store.disk_full import room_in

_log = logging.getLogger(__name__)

_LOCK: Final = ".lock"
# Not in the lock file: on NFS, closing that file anywhere in the process would give up the lock.
_NOTE: Final = ".writer"
_KEY: Final = "tilewise writes here"


@contextlib.contextmanager
def folder_lock(folder: Path) -> Iterator[bool]:
    """Hold a folder against other writers, or warn where the file system knows no locks; yields whether it is held.

    Raises:
        UsageError: another process writes here, by its id and machine, or the folder cannot be made.
    """
    import filelock

    path, note = folder / _LOCK, folder / _NOTE
    try:
        with room_in(folder):
            folder.mkdir(parents=True, exist_ok=True)
            path.open("a").close()  # a file of this name that is somebody's is not emptied
    except OSError as error:
        raise UsageError(f"--out {folder}: cannot write here ({error}); choose another folder") from error
    # Preserved, so that a file system without locks is an error here and not a file that outlives the process.
    lock = filelock.FileLock(path, preserve_lock_file=True)
    try:
        lock.acquire(blocking=False)
        is_held = True
    except filelock.Timeout as error:
        raise UsageError(
            f"another tilewise{_in_words(_read(note))} is writing to {folder}; wait for it, or choose another --out"
        ) from error
    except OSError as error:
        is_held = False
        _warn(folder, error)
    is_noted = _write(note)
    try:
        yield is_held
    finally:
        if is_noted:
            note.unlink(missing_ok=True)
        lock.release()


def _warn(folder: Path, error: OSError) -> None:
    """Some network file systems know no locks; there the note is all that tells of another writer."""
    writer = _read(folder / _NOTE)
    if writer is not None and writer["host"] == platform.node() and _is_running(writer["pid"]):
        raise UsageError(
            f"another tilewise{_in_words(writer)} is writing to {folder}; wait for it, or choose another --out"
        ) from error
    before = f"; one{_in_words(writer)} wrote there and did not end, or still does" if writer is not None else ""
    _log.warning("%s cannot be locked (%s); let no other tilewise write there%s", folder, error, before)


def _in_words(writer: dict[str, Any] | None) -> str:
    return "" if writer is None else f" (process {writer['pid']} on {writer['host']})"


def _read(path: Path) -> dict[str, Any] | None:
    """Who wrote a note; None where there is none, or the file is somebody's."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        writer = json.loads(path.read_bytes())[_KEY]
        return {"pid": int(writer["pid"]), "host": str(writer["host"])}
    return None


def _write(note: Path) -> bool:
    """Write who this is; whether it was written: a file of this name that is somebody's stays."""
    if note.is_file() and note.stat().st_size and _read(note) is None:
        return False
    try:
        note.write_text(json.dumps({_KEY: {"pid": os.getpid(), "host": platform.node()}}), encoding="utf-8")
    except OSError:  # who writes here is worth no failure
        return False
    return True


def _is_running(pid: int) -> bool:
    if os.name != "posix":  # elsewhere the signal 0 would end it
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid != os.getpid()
