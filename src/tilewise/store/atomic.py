"""Writes that leave either the old file or the new one, never a half."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import tempfile
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Final

from tilewise.store.disk_full import room_in

_flushed_together: ContextVar[list[Path] | None] = ContextVar("flushed_together", default=None)
#: Names of files and folders that are written to before they get their own.
PARTIAL: Final = re.compile(r"\..+\.[a-z0-9_]{8}\.tmp(\..*)?")
_REFUSED = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})


@contextlib.contextmanager
def atomic_path(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """A temporary path in the target's folder; flushed to disk and renamed onto `path` when the block ends well.

    The folder is made when it is missing. When the block raises, the temporary file goes and `path` stays as it was.

    Args:
        path: the target.
        durable: whether it must survive a power cut. Entries of a cache need not: what reads them notices damage and
            makes them again, and waiting for the disk after each of a thousand small files takes longer than the work.

    Raises:
        DiskFull: there is no room for the file; also where a writer within the block says so in words of its own.
    """
    with room_in(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        # The suffix is kept because some writers choose the format by it.
        try:
            descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=f".tmp{path.suffix}")
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error
    os.close(descriptor)
    temporary = Path(name)
    together = _flushed_together.get() if durable else None
    at_once = durable and together is None
    try:
        with room_in(path.parent):
            yield temporary
            if at_once:
                _flush(temporary, os.O_RDWR)
            # mkstemp makes files private to the user; a run is meant to be shared as other files are.
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
            if at_once:
                _flush(path.parent, os.O_RDONLY)
            elif together is not None:
                together.append(path)
    except OSError as error:
        if error.errno is None or error.filename not in (None, name):
            raise
        # Some errors come without the file, or with the temporary one.
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def flush_together() -> Iterator[None]:
    """Files written in the block are flushed when it ends well, all at once; none of them may be trusted before.

    A disk is waited for once instead of twice for every file. For files that are made again where the block was not
    left: a power cut may leave their names without their contents.
    """
    written: list[Path] = []
    token = _flushed_together.set(written)
    try:
        yield
    finally:
        _flushed_together.reset(token)
    files = [path for path in dict.fromkeys(written) if path.exists()]
    for path in files:
        with room_in(path.parent):
            _flush(path, os.O_RDWR)
    for folder in dict.fromkeys(path.parent for path in files):
        _flush(folder, os.O_RDONLY)


def write_bytes(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write bytes atomically; `durable` as in `atomic_path`."""
    with atomic_path(path, durable=durable) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically, with newlines as they are."""
    write_bytes(path, text.encode("utf-8"))


def _flush(path: Path, flags: int) -> None:
    # Windows flushes only what was opened for writing, and folders nowhere may be.
    try:
        descriptor = os.open(path, flags)
    except PermissionError:  # a folder cannot be opened on Windows; the rename is durable enough there
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems refuse it, above all on folders; that data did not fit shows here as well.
        if error.errno not in _REFUSED and not path.is_dir():
            raise
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
