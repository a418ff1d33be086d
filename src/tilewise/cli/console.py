"""What a person sees: progress on stderr, results on stdout."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tilewise.execution import Failure, Progress, Task, show_progress
from tilewise.wording import count

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from tilewise.auditing.notes import NoteKind

_FAILURES_SHOWN = 10
_NOTES_SHOWN = 12


def print_result(payload: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    """Print the result for a program (`--json`) or for a person."""
    if as_json:
        from tilewise.store.artifact import finite

        # ASCII, because stdout may have any encoding.
        typer.echo(json.dumps(finite(dict(payload))))
    else:
        typer.echo(text)


def print_failures(failures: Sequence[Failure], table: Path) -> None:
    """Name the first slides that failed on stderr, and the table that names all of them."""
    for failure in failures[:_FAILURES_SHOWN]:
        typer.echo(f"failed: {failure.item}: {failure.message}", err=True)
    typer.echo(f"{len(failures)} of the slides failed; {table} names each", err=True)


def note_lines(kinds: Sequence[NoteKind]) -> Iterator[str]:
    """What was taken for what in the slides' files, one line for each kind."""
    for kind in kinds[:_NOTES_SHOWN]:
        yield f"note         {kind.sentence()}"
    if len(kinds) > _NOTES_SHOWN:
        yield f"note         and {count(len(kinds) - _NOTES_SHOWN, 'more kind')} of notes; --json has them all"


@contextlib.contextmanager
def progress(*, quiet: bool) -> Iterator[None]:
    """Show progress inside the block: bars on a terminal, one line per finished task elsewhere."""
    if quiet:
        yield
    elif sys.stderr.isatty():
        with _bars() as bars, show_progress(_RichProgress(bars)):
            yield
    else:
        with show_progress(_Lines()):
            yield


def _bars() -> Bars:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    return RichProgress(
        TextColumn("{task.description:<14}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


class _RichProgress(Progress):
    def __init__(self, bars: Bars) -> None:
        self._bars = bars

    @contextlib.contextmanager
    def task(self, description: str, total: int) -> Iterator[Task]:
        yield _Bar(self._bars, self._bars.add_task(description, total=total))


class _Bar(Task):
    def __init__(self, bars: Bars, task_id: TaskID) -> None:
        self._bars, self._task_id = bars, task_id

    def advance(self, steps: int = 1) -> None:
        self._bars.advance(self._task_id, steps)


class _Lines(Progress):
    @contextlib.contextmanager
    def task(self, description: str, total: int) -> Iterator[Task]:
        start = time.monotonic()
        yield _Counter()
        typer.echo(f"{description}: {total} done in {time.monotonic() - start:.1f} s", err=True)


class _Counter(Task):
    def advance(self, steps: int = 1) -> None:
        del steps
