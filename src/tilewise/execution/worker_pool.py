"""Processes for a batch's work, which never run the caller's script and end with the main process."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

Result = TypeVar("Result")

# Of a worker: where it tells what it begins with.
_started: multiprocessing.SimpleQueue[str] | None = None


def preload_workers(module: str) -> None:
    """Start the process that workers are forked from, which imports `module` while this one goes on.

    Workers, of all pools, then begin with that module. Without effect where a worker was started before.
    """
    # Elsewhere, libraries of the system do not survive a fork.
    if sys.platform == "linux":
        multiprocessing.set_forkserver_preload([module])
        forkserver.ensure_running()


class WorkerPool(ProcessPoolExecutor):
    """Processes with one thread each that never run the caller's script.

    A new process would import the main script again, and a script without `if __name__ == "__main__":` would start its
    whole work once more in every worker. Nothing here is defined in a main script, so it is hidden from them.

    Attributes:
        started: names of what workers began to work on, as they tell by `announce`.
    """

    def __init__(self, workers: int) -> None:
        # Forking a process while torch or OpenCV compute in threads can deadlock; a fork server computes nothing, and
        # threads that libraries start when they are imported (OpenBLAS, jemalloc) are made for forks.
        method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
        context = multiprocessing.get_context(method)
        self.started: multiprocessing.SimpleQueue[str] = context.SimpleQueue()
        super().__init__(workers, mp_context=context, initializer=_start_worker, initargs=(self.started,))

    def kill(self) -> None:
        """End every process at once, whatever it hangs in; what they worked on fails with `BrokenProcessPool`."""
        for process in tuple(self._processes.values()):
            process.kill()

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


def announce(name: str) -> None:
    """Tell the main process, from a worker, that the work on an item begins."""
    if _started is not None:
        _started.put(name)


def _start_worker(started: multiprocessing.SimpleQueue[str]) -> None:
    """One thread per worker, since the workers already take every processor; and no life after the main process."""
    global _started  # noqa: PLW0603 - one per process
    import cv2

    _started = started
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
