"""Whether a node of a cluster sees the files that a run reads and writes."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from tilewise.errors import UsageError

_MARK: Final = ".tilewise-mark-"
_STALE_S: Final = 30 * 86_400


@dataclass(frozen=True)
class SharedFiles:
    """Files that every node must see as the machine that started the run does.

    Attributes:
        cwd: current folder, which relative paths start from.
        sizes: path -> bytes of files that are read.
        marks: empty files, laid into the folders that are written to.
    """

    cwd: str
    sizes: dict[str, int]
    marks: tuple[str, ...]

    @classmethod
    def of(cls, reads: Iterable[Path], writes: Iterable[Path]) -> Self:
        """Lay marks into folders; of one that is not there yet, into the one above it.

        Raises:
            UsageError: a folder cannot be written to.
        """
        marks: list[str] = []
        for path in writes:
            folder = next(one for one in (path.absolute(), *path.absolute().parents) if one.is_dir())
            mark = folder / f"{_MARK}{uuid.uuid4().hex}"
            try:
                _remove_stale(folder)
                mark.touch()
            except OSError as error:
                cls("", {}, tuple(marks)).remove()
                raise UsageError(f"{folder} cannot be written to ({error}); choose another folder") from error
            marks.append(str(mark))
        sizes = {str(path.absolute()): path.stat().st_size for path in reads if path.is_file()}
        return cls(str(Path.cwd()), sizes, tuple(marks))

    def check(self, node: str) -> None:
        """Find out, on a node, whether it sees all of them, and go to the current folder.

        Raises:
            UsageError: it does not.
        """
        for name, size in self.sizes.items():
            path = Path(name)
            if not path.is_file() or path.stat().st_size != size:
                raise UsageError(
                    f"node {node} of the Ray cluster does not see {path}; put the cohort where all nodes have it under "
                    "the same path (a shared file system)"
                )
        for name in self.marks:
            folder = Path(name).parent
            if not Path(name).is_file() or not os.access(folder, os.W_OK):
                raise UsageError(
                    f"node {node} of the Ray cluster does not share {folder}; put --out and TILEWISE_CACHE where all "
                    "nodes can write under the same path (a shared file system)"
                )
        try:
            os.chdir(self.cwd)
        except OSError as error:
            raise UsageError(
                f"node {node} of the Ray cluster has no folder {self.cwd} ({error}); start tilewise in a folder that "
                "all nodes share"
            ) from error

    def remove(self) -> None:
        """Take the marks away."""
        for name in self.marks:
            Path(name).unlink(missing_ok=True)


def _remove_stale(folder: Path) -> None:
    """Take away marks of commands that were killed, long after any that may still run."""
    for mark in folder.glob(f"{_MARK}*"):
        if time.time() - mark.stat().st_mtime > _STALE_S:
            mark.unlink(missing_ok=True)
