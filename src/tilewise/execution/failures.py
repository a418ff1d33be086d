"""Items that failed: how a batch goes on past them, and the table that names them."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Callable
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TypeVar

from tilewise.errors import SlideTimeout, UsageError
from tilewise.store import write_text

_log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Failure:
    """One item that failed: its name, the stage, the error's type and its message."""

    item: str
    stage: str
    error: str
    message: str


def guarded(function: Callable[[Item], Result], name: str, item: Item, stage: str) -> Result | Failure:
    """Call `function`; an error becomes a failure, except wrong use, which is the same for every item."""
    try:
        return function(item)
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001 - the one boundary where a batch goes on past a bad item, and says so
        _log.debug("%s failed in %s", name, stage, exc_info=True)
        notes = "".join(f"; {note}" for note in getattr(error, "__notes__", ()))
        return Failure(name, stage, type(error).__name__, (str(error) or type(error).__name__) + notes)


def timed_out(name: str, stage: str, error: SlideTimeout) -> Failure:
    """The failure of an item that took longer than it may."""
    return Failure(name, stage, type(error).__name__, str(error))


def worker_died(name: str, stage: str) -> Failure:
    """The failure of an item that takes its process down with it."""
    return Failure(
        name, stage, "WorkerDied",
        f"{name}: the process working on it died (out of memory, or a crash in a decoder); "
        "open the file in a viewer, convert it or take it out of the cohort",
    )  # fmt: skip


def write_failures(path: Path, failures: tuple[Failure, ...]) -> None:
    """Write `failures.csv`; without failures a stale file is removed."""
    if not failures:
        path.unlink(missing_ok=True)
        return
    buffer = io.StringIO()
    rows = csv.writer(buffer, lineterminator="\n")
    rows.writerow(field.name for field in fields(Failure))
    rows.writerows(astuple(failure) for failure in failures)
    write_text(path, buffer.getvalue())


def read_failures(path: Path) -> tuple[Failure, ...]:
    """Read `failures.csv`; no file means no failure."""
    if not path.is_file():
        return ()
    with path.open(encoding="utf-8", newline="") as stream:
        return tuple(Failure(**row) for row in csv.DictReader(stream))
