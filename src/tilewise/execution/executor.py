"""Where work over slides, folds and trials runs: on this machine, or on a Ray cluster."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, get_args

from tilewise.errors import UsageError

if TYPE_CHECKING:
    from tilewise.execution.ray_pool import RayPool

VARIABLE: Final = "TILEWISE_EXECUTOR"
ExecutorName = Literal["local", "ray"]


_ray: ContextVar[RayPool | None] = ContextVar("tilewise_ray", default=None)


def current_ray() -> RayPool | None:
    """The cluster that work is sent to; None where it stays on this machine."""
    return _ray.get()


def chosen_executor(name: ExecutorName | None) -> str:
    """The executor of this name; None takes `$TILEWISE_EXECUTOR`, else `local`.

    Raises:
        UsageError: there is no such executor.
    """
    chosen = name or os.environ.get(VARIABLE) or "local"
    if chosen not in get_args(ExecutorName):
        source = "executor" if name else VARIABLE
        raise UsageError(f"{source}={chosen!r}: give one of {', '.join(get_args(ExecutorName))}")
    return chosen


@contextlib.contextmanager
def use_executor(
    name: ExecutorName | None, *, workers: int | None = None, reads: Iterable[Path] = (), writes: Iterable[Path] = ()
) -> Iterator[None]:
    """Run the work inside the block on an executor; no result depends on which.

    Args:
        name: `local` or `ray`; None takes `$TILEWISE_EXECUTOR`, else `local`. Ray takes the cluster at `$RAY_ADDRESS`,
            else starts one on this machine, which ends with the block.
        workers: tasks at a time; None takes every processor.
        reads: files that every node has to see under the same path.
        writes: files or folders that every node has to write to under the same path; they need not be there yet.

    Raises:
        UsageError: there is no such executor, or Ray is not installed.
    """
    if chosen_executor(name) == "local":
        token = _ray.set(None)
        try:
            yield
        finally:
            _ray.reset(token)
        return
    from tilewise.execution.ray_pool import RayPool

    with contextlib.closing(RayPool(workers, reads=reads, writes=writes)) as executor:
        token = _ray.set(executor)
        try:
            yield
        finally:
            _ray.reset(token)
