"""A bundle of items in a worker process of a cluster: what becomes of each, and of those behind one that hangs."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tilewise.errors import SlideTimeout, UsageError
from tilewise.execution.failures import guarded, timed_out
from tilewise.execution.shared_files import SharedFiles
from tilewise.execution.time_limit import too_slow

Bundle = list[tuple[str, Any]]

# A thread that hangs cannot be ended but with its process, once the result is on its way.
_EXIT_S: Final = 2.0


@dataclass(frozen=True)
class Job:
    """What all tasks of a batch have in common, but their function."""

    stage: str
    limit_s: float | None
    files: SharedFiles
    version: str


@dataclass(frozen=True)
class Report:
    """What became of a bundle.

    Attributes:
        outcomes: results and failures, by item.
        left: items behind one that hangs, for another process.
        seconds: that the items took.
        refusal: wrong use, which stops the batch.
    """

    outcomes: tuple[tuple[str, Any], ...] = ()
    left: Bundle = ()  # type: ignore[assignment]
    seconds: float = 0.0
    refusal: UsageError | None = None


def work_on(job: Job, function: Callable[[Any], Any], bundle: Bundle) -> Report:
    """Call a function on the items one after the other; an item that hangs ends the process, once this has returned."""
    outcomes: list[tuple[str, Any]] = []
    start = time.perf_counter()
    for number, (name, item) in enumerate(bundle):
        try:
            outcomes.append((name, _within_limit(job, function, name, item)))
        except SlideTimeout as error:
            outcomes.append((name, timed_out(name, job.stage, error)))
            threading.Timer(_EXIT_S, os._exit, (1,)).start()
            return Report(tuple(outcomes), bundle[number + 1 :], time.perf_counter() - start)
    return Report(tuple(outcomes), [], time.perf_counter() - start)


def _within_limit(job: Job, function: Callable[[Any], Any], name: str, item: Any) -> Any:
    """The outcome of an item; where it takes longer than it may, it goes on hanging in a thread.

    Raises:
        SlideTimeout: it takes longer.
    """
    if job.limit_s is None:
        return guarded(function, name, item, job.stage)
    outcomes: list[Any] = []

    def run() -> None:
        try:
            outcomes.append(guarded(function, name, item, job.stage))
        except UsageError as error:
            outcomes.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(job.limit_s)
    if thread.is_alive():
        raise too_slow(name, job.limit_s)
    if isinstance(outcomes[0], UsageError):
        raise outcomes[0]
    return outcomes[0]
