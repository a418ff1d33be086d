"""Run one function over slides, folds or trials; name what failed and go on; say how far it is.

Workers are processes, so that a decoder that crashes on a damaged file takes its own process down and nothing else.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from tilewise.compute import num_processors
from tilewise.errors import UsageError
from tilewise.execution.batch import Batch, Claim
from tilewise.execution.executor import ExecutorName, chosen_executor, current_ray, use_executor
from tilewise.execution.failures import Failure, read_failures, write_failures
from tilewise.execution.processes import in_pool, in_process
from tilewise.execution.time_limit import slide_time_limit, time_limit
from tilewise.execution.worker_pool import WorkerPool, hidden_main, leave_with_parent, preload_workers

_log = logging.getLogger(__name__)

__all__ = [
    "Claim",
    "ExecutorName",
    "Failure",
    "Outcome",
    "Progress",
    "Task",
    "WorkerPool",
    "chosen_executor",
    "current_ray",
    "hidden_main",
    "leave_with_parent",
    "preload_workers",
    "read_failures",
    "run_each",
    "show_progress",
    "slide_time_limit",
    "task",
    "time_limit",
    "use_executor",
    "write_failures",
]

Item = TypeVar("Item")
Result = TypeVar("Result")


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


def run_each(  # noqa: PLR0913 - all but two by name
    function: Callable[[Item], Result],
    items: Mapping[str, Item],
    *,
    stage: str,
    workers: int | None = None,
    on_result: Callable[[str, Result | Failure], None] | None = None,
    limit_s: float | None = None,
    claim: Claim | None = Claim(),  # noqa: B008 - frozen
    isolate: bool = False,
) -> Outcome[Result]:
    """Call `function` on every item and collect results and failures, on this machine or where `use_executor` says.

    Results depend neither on `workers` nor on the executor.

    Args:
        function: a picklable function of one item. What is large and the same for all is bound to it.
        items: what to work on, by the name used in messages (a slide's id, say).
        stage: shown with the progress and written beside failures.
        workers: processes; None takes every processor, 1 stays in this process. On a cluster, tasks at a time, 1 in a
            process of the cluster, too.
        on_result: is called here with what became of each item, as they are done.
        limit_s: seconds that one item may take; after that its process is killed and another one goes on with the
            others. In this process, see `time_limit`. None is no limit.
        claim: what an item takes of a node of a cluster; None keeps the work on this machine, and in this process
            unless it is isolated.
        isolate: work in other processes even where one is enough, so that compiled code that hangs or crashes is
            stopped there.

    Raises:
        UsageError: as raised by `function`; wrong use is the same for every item, so the batch stops at once.
    """
    if items and workers is not None and workers < 1:
        raise UsageError(f"workers={workers}: give 1 or more processes, or leave it out for all processors")
    results: dict[str, Result] = {}
    failures: dict[str, Failure] = {}
    with task(stage, len(items)) as bar:
        outcomes = _outcomes(function, items, Batch(stage, workers, limit_s, isolate), claim)
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


def _outcomes(
    function: Callable[[Item], Result], items: Mapping[str, Item], batch: Batch, claim: Claim | None
) -> Iterator[tuple[str, Result | Failure]]:
    cluster = current_ray()
    if cluster is not None and claim is not None and items:
        return cluster.outcomes(function, items, batch, claim)
    num = 1 if claim is None and not batch.isolate else min(batch.workers or num_processors(), len(items))
    if num <= 1 and not batch.isolate:
        return in_process(function, items, batch)
    return in_pool(function, items, batch, num)
