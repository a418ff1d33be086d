"""Run one function over slides, folds or trials; name what failed and go on; say how far it is.

Workers are processes, so that a decoder that crashes on a damaged file takes its own process down and nothing else.
"""

from __future__ import annotations

import contextlib
import csv
import io
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextvars import ContextVar
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from tilewise.compute import num_processors
from tilewise.errors import SlideTimeout, UsageError
from tilewise.execution.time_limit import slide_time_limit, time_limit, too_slow
from tilewise.execution.worker_pool import WorkerPool, announce, hidden_main, leave_with_parent
from tilewise.store import write_text

_log = logging.getLogger(__name__)

__all__ = [
    "Failure",
    "Outcome",
    "Progress",
    "Task",
    "WorkerPool",
    "hidden_main",
    "leave_with_parent",
    "read_failures",
    "run_each",
    "show_progress",
    "slide_time_limit",
    "task",
    "time_limit",
    "write_failures",
]

# While items have a time limit, how often a look is taken at who began, in seconds.
_LOOK_S = 0.5

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Failure:
    """One item that failed: its name, the stage, the error's type and its message."""

    item: str
    stage: str
    error: str
    message: str


@dataclass(frozen=True)
class Outcome(Generic[Result]):
    """Results by item, in the order of the items, and the items that failed."""

    results: dict[str, Result]
    failures: tuple[Failure, ...]


class Task(Protocol):
    """A running piece of work that can be advanced."""

    def advance(self, steps: int = 1) -> None:
        """Say that `steps` more items are done."""


class Progress(Protocol):
    """Where progress is shown. The CLI installs one; the library is silent without it."""

    def task(self, description: str, total: int) -> contextlib.AbstractContextManager[Task]:
        """Open a task of `total` items."""


class _NoProgress:
    def advance(self, steps: int = 1) -> None:
        del steps

    @contextlib.contextmanager
    def task(self, description: str, total: int) -> Iterator[Task]:
        _log.debug("%s: %d", description, total)
        yield self


_progress: ContextVar[Progress] = ContextVar("tilewise_progress")


@contextlib.contextmanager
def show_progress(progress: Progress) -> Iterator[None]:
    """Show progress through `progress` inside the block."""
    token = _progress.set(progress)
    try:
        yield
    finally:
        _progress.reset(token)


def task(description: str, total: int) -> contextlib.AbstractContextManager[Task]:
    """Open a task on the installed progress display, or a silent one."""
    return _progress.get(_NoProgress()).task(description, total)


def run_each(
    function: Callable[[Item], Result],
    items: Mapping[str, Item],
    *,
    stage: str,
    workers: int | None = None,
    on_result: Callable[[str, Result | Failure], None] | None = None,
    limit_s: float | None = None,
) -> Outcome[Result]:
    """Call `function` on every item and collect results and failures; results do not depend on `workers`.

    Args:
        function: a picklable function of one item.
        items: what to work on, by the name used in messages (a slide's id, say).
        stage: shown with the progress and written beside failures.
        workers: processes; None takes every processor, 1 stays in this process.
        on_result: is called here with what became of each item, as they are done.
        limit_s: seconds that one item may take; after that its process is killed and another one goes on with the
            others. In this process, see `time_limit`. None is no limit.

    Raises:
        UsageError: as raised by `function`; wrong use is the same for every item, so the batch stops at once.
    """
    if items and workers is not None and workers < 1:
        raise UsageError(f"workers={workers}: give 1 or more processes, or leave it out for all processors")
    workers = min(workers or num_processors(), len(items)) if items else 1
    results: dict[str, Result] = {}
    failures: dict[str, Failure] = {}
    with task(stage, len(items)) as bar:
        outcomes = (
            _in_process(function, items, stage, limit_s)
            if workers <= 1
            else _in_pool(function, items, _Batch(stage, workers, limit_s))
        )
        for name, value in outcomes:
            if isinstance(value, Failure):
                failures[name] = value
                _log.info("%s: %s", name, value.message)
            else:
                results[name] = value
            if on_result is not None:
                on_result(name, value)
            bar.advance()
    return Outcome(
        {name: results[name] for name in items if name in results},
        tuple(failures[name] for name in items if name in failures),
    )


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


@dataclass(frozen=True)
class _Batch:
    stage: str
    workers: int
    limit_s: float | None


def _guarded(function: Callable[[Item], Result], name: str, item: Item, stage: str) -> Result | Failure:
    try:
        return function(item)
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001 - the one boundary where a batch goes on past a bad item, and says so
        _log.debug("%s failed in %s", name, stage, exc_info=True)
        notes = "".join(f"; {note}" for note in getattr(error, "__notes__", ()))
        return Failure(name, stage, type(error).__name__, (str(error) or type(error).__name__) + notes)


def _announced(function: Callable[[Item], Result], name: str, item: Item, stage: str) -> Result | Failure:
    announce(name)
    return _guarded(function, name, item, stage)


def _in_process(
    function: Callable[[Item], Result], items: Mapping[str, Item], stage: str, limit_s: float | None
) -> Iterator[tuple[str, Result | Failure]]:
    for name, item in items.items():
        try:
            with time_limit(name, limit_s):
                outcome = _guarded(function, name, item, stage)
        except SlideTimeout as error:  # between the item's end and that of its limit
            outcome = _timed_out(name, stage, error)
        yield name, outcome


def _in_pool(
    function: Callable[[Item], Result], items: Mapping[str, Item], batch: _Batch
) -> Iterator[tuple[str, Result | Failure]]:
    """Work in processes. Few items are in flight at a time, so that a dead worker leaves few suspects."""
    waiting = list(items.items())[::-1]
    while waiting:
        suspects: list[tuple[str, Item]] = []
        with WorkerPool(batch.workers) as pool:
            running: dict[Future[Result | Failure], tuple[str, Item]] = {}
            clock = _Clock(pool, batch.limit_s)
            try:
                while waiting or running:
                    while waiting and len(running) < 2 * batch.workers:
                        name, item = waiting.pop()
                        try:
                            running[pool.submit(_announced, function, name, item, batch.stage)] = (name, item)
                        except BrokenProcessPool:
                            suspects.append((name, item))
                            raise
                    finished, _ = wait(running, timeout=clock.look_s, return_when=FIRST_COMPLETED)
                    for future in finished:
                        name, item = running[future]
                        outcome = future.result()
                        del running[future]
                        yield name, outcome
                    late = clock.late({name for name, _ in running.values()})
                    if late:
                        pool.kill()
                        # The others did nothing wrong: they begin again, in new processes.
                        waiting += [one for one in running.values() if one[0] not in late][::-1]
                        running = {}
                        for name in sorted(late):
                            yield name, _timed_out(name, batch.stage, too_slow(name, batch.limit_s or 0.0))
                        break
            except BrokenProcessPool:
                suspects += running.values()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        for name, item in suspects:
            yield name, _alone(function, name, item, batch.stage)


class _Clock:
    """When workers began with which item."""

    def __init__(self, pool: WorkerPool, limit_s: float | None) -> None:
        self._started = pool.started
        self._limit_s = limit_s
        self._since: dict[str, float] = {}
        self.look_s = None if limit_s is None else min(limit_s, _LOOK_S)

    def late(self, names: set[str]) -> set[str]:
        """Those of the running items that take longer than they may."""
        now = time.monotonic()
        # Emptied in any case: a full queue would stop the workers.
        while not self._started.empty():
            self._since[self._started.get()] = now
        if self._limit_s is None:
            return set()
        return {name for name in names if now - self._since.get(name, now) > self._limit_s}


def _timed_out(name: str, stage: str, error: SlideTimeout) -> Failure:
    return Failure(name, stage, type(error).__name__, str(error))


def _alone(function: Callable[[Item], Result], name: str, item: Item, stage: str) -> Result | Failure:
    """Run a suspect in a process of its own: whoever kills that one as well is the culprit."""
    with WorkerPool(1) as pool:
        try:
            return pool.submit(_guarded, function, name, item, stage).result()
        except BrokenProcessPool:
            return Failure(
                name, stage, "WorkerDied",
                f"{name}: the process working on it died (out of memory, or a crash in a decoder); "
                "open the file in a viewer, convert it or take it out of the cohort",
            )  # fmt: skip
