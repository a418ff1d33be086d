"""Work on this machine: in this process, or in a pool of processes that survives what decoders do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from tilewise.errors import SlideTimeout
from tilewise.execution.batch import Batch
from tilewise.execution.failures import Failure, guarded, timed_out, worker_died
from tilewise.execution.time_limit import time_limit, too_slow
from tilewise.execution.worker_pool import WorkerPool, announce

# While items have a time limit, how often a look is taken at who began, in seconds.
_LOOK_S = 0.5

Item = TypeVar("Item")
Result = TypeVar("Result")


def _announced(function: Callable[[Item], Result], name: str, item: Item, stage: str) -> Result | Failure:
    announce(name)
    return guarded(function, name, item, stage)


def in_process(
    function: Callable[[Item], Result], items: Mapping[str, Item], batch: Batch
) -> Iterator[tuple[str, Result | Failure]]:
    """Work here, item after item."""
    for name, item in items.items():
        try:
            with time_limit(name, batch.limit_s):
                outcome = guarded(function, name, item, batch.stage)
        except SlideTimeout as error:  # between the item's end and that of its limit
            outcome = timed_out(name, batch.stage, error)
        yield name, outcome


def in_pool(
    function: Callable[[Item], Result], items: Mapping[str, Item], batch: Batch, workers: int
) -> Iterator[tuple[str, Result | Failure]]:
    """Work in processes. Few items are in flight at a time, so that a dead worker leaves few suspects."""
    waiting = list(items.items())[::-1]
    while waiting:
        suspects: list[tuple[str, Item]] = []
        with WorkerPool(workers) as pool:
            running: dict[Future[Result | Failure], tuple[str, Item]] = {}
            clock = _Clock(pool, batch.limit_s)
            try:
                while waiting or running:
                    while waiting and len(running) < 2 * workers:
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
                            yield name, timed_out(name, batch.stage, too_slow(name, batch.limit_s or 0.0))
                        break
            except BrokenProcessPool:
                suspects += running.values()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        for name, item in suspects:
            yield name, _alone(function, name, item, batch)


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


def _alone(function: Callable[[Item], Result], name: str, item: Item, batch: Batch) -> Result | Failure:
    """Run a suspect in a process of its own: whoever kills that one as well is the culprit."""
    with WorkerPool(1) as pool:
        try:
            # A process that runs and has imported what it needs, so that only the item's own time counts.
            pool.submit(callable, function).result()
            return pool.submit(guarded, function, name, item, batch.stage).result(batch.limit_s)
        except BrokenProcessPool:
            return worker_died(name, batch.stage)
        except TimeoutError:
            pool.kill()
            return timed_out(name, batch.stage, too_slow(name, batch.limit_s or 0.0))
