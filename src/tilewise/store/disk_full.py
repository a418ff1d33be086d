"""A full disk, told by what writers of any library raise there."""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tilewise.errors import DiskFull

_FULL: Final = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})
_LEAST_FREE: Final = 1 << 16


@contextlib.contextmanager
def room_in(folder: Path, *, advice: str = "choose another folder") -> Iterator[None]:
    """Say what to do where the block fails since the disk of `folder` is full, or its quota is used up.

    Raises:
        DiskFull: it is; the message names the folder.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        if not _is_full(error, folder):
            raise
        raise DiskFull(
            f"the disk is full: nothing more can be written to {folder}. Make room there or {advice}, and give the "
            "same command again, which goes on from what is done"
        ) from error


def _is_full(error: Exception, folder: Path) -> bool:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _FULL
    # Writers of NumPy, HDF5 and torch lose the number that the system gave.
    with contextlib.suppress(OSError):
        return shutil.disk_usage(folder).free < _LEAST_FREE
    return False
