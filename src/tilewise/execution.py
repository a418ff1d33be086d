"""Run one function over slides, folds or trials; name what failed and go on; say how far it is.

Workers are processes, so that a decoder that crashes on a damaged file takes its own process down and nothing else.
"""

from __future__ import annotations

import contextlib
import csv
import io
import logging
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextvars import ContextVar
from dataclasses import astuple, dataclass, fields
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from tilewise.compute import num_processors
from tilewise.errors import UsageError
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
) -> Outcome[Result]:
    """Call `function` on every item and collect results and failures; results do not depend on `workers`.

    Args:
        function: a picklable function of one item.
        items: what to work on, by the name used in messages (a slide's id, say).
        stage: shown with the progress and written beside failures.
        workers: processes; None takes every processor, 1 stays in this process.
        on_result: is called here with what became of each item, as they are done.

    Raises:
        UsageError: as raised by `function`; wrong use is the same for every item, so the batch stops at once.
    """
    if items and workers is not None and workers < 1:
        raise UsageError(f"workers={workers}: give 1 or more processes, or leave it out for all processors")
    workers = min(workers or num_processors(), len(items)) if items else 1
    results: dict[str, Result] = {}
    failures: dict[str, Failure] = {}
    with task(stage, len(items)) as bar:
        outcomes = _in_process(function, items, stage) if workers <= 1 else _in_pool(function, items, stage, workers)
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


def _guarded(function: Callable[[Item], Result], name: str, item: Item, stage: str) -> Result | Failure:
    try:
        return function(item)
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001 - the one boundary where a batch goes on past a bad item, and says so
        _log.debug("%s failed in %s", name, stage, exc_info=True)
        notes = "".join(f"; {note}" for note in getattr(error, "__notes__", ()))
        return Failure(name, stage, type(error).__name__, (str(error) or type(error).__name__) + notes)


def _in_process(
    function: Callable[[Item], Result], items: Mapping[str, Item], stage: str
) -> Iterator[tuple[str, Result | Failure]]:
    for name, item in items.items():
        yield name, _guarded(function, name, item, stage)


def _in_pool(
    function: Callable[[Item], Result], items: Mapping[str, Item], stage: str, workers: int
) -> Iterator[tuple[str, Result | Failure]]:
    """Work in processes. Few items are in flight at a time, so that a dead worker leaves few suspects."""
    waiting = list(items.items())[::-1]
    while waiting:
        suspects: list[tuple[str, Item]] = []
        with WorkerPool(workers) as pool:
            running: dict[Future[Result | Failure], tuple[str, Item]] = {}
            try:
                while waiting or running:
                    while waiting and len(running) < 2 * workers:
                        name, item = waiting.pop()
                        try:
                            running[pool.submit(_guarded, function, name, item, stage)] = (name, item)
                        except BrokenProcessPool:
                            suspects.append((name, item))
                            raise
                    finished, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in finished:
                        name, item = running[future]
                        outcome = future.result()
                        del running[future]
                        yield name, outcome
            except BrokenProcessPool:
                suspects += running.values()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        for name, item in suspects:
            yield name, _alone(function, name, item, stage)


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


class WorkerPool(ProcessPoolExecutor):
    """Processes with one thread each that never run the caller's script.

    A new process would import the main script again, and a script without `if __name__ == "__main__":` would start its
    whole work once more in every worker. Nothing here is defined in a main script, so it is hidden from them.
    """

    def __init__(self, workers: int) -> None:
        # Forking a process in which torch or OpenCV threads run can deadlock; a fork server has none.
        method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
        super().__init__(workers, mp_context=multiprocessing.get_context(method), initializer=_start_worker)

    def submit(self, fn: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        """As `Executor.submit`; this is where processes are started."""
        with hidden_main():
            return super().submit(fn, *args, **kwargs)


@contextlib.contextmanager
def hidden_main() -> Iterator[None]:
    """Start processes inside that do not import the caller's script."""
    main = sys.modules["__main__"]
    attributes = {name: vars(main)[name] for name in ("__file__", "__spec__") if name in vars(main)}
    for name in attributes:
        setattr(main, name, None)
    try:
        yield
    finally:
        for name, value in attributes.items():
            setattr(main, name, value)


def _start_worker() -> None:
    """One thread per worker, since the workers already take every processor; and no life after the main process."""
    import cv2

    cv2.setNumThreads(1)
    leave_with_parent()


def leave_with_parent() -> None:
    """End this process when the one that started it does, however that ends."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()


def _leave_with(parent: BaseProcess) -> None:
    """A main process that is killed cannot tell its workers; they notice it themselves."""
    parent.join()
    os._exit(1)
