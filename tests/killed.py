"""Functions in processes of their own that a test may kill, from a server that has imported what takes seconds."""

from __future__ import annotations

import os
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from typing import Any

from tilewise.execution.worker_pool import hidden_main


def start(function: Callable[..., Any], *arguments: Any) -> BaseProcess:
    """Call a function of a module in another process, with the environment that this one has now."""
    process = get_context("forkserver").Process(target=_call, args=(dict(os.environ), function, arguments))
    with hidden_main():
        process.start()
    return process


def exit_code(function: Callable[..., Any], *arguments: Any) -> int | None:
    """Call a function likewise and wait for its end; a negative code is the signal that ended it."""
    process = start(function, *arguments)
    process.join()
    return process.exitcode


def _call(environment: dict[str, str], function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    function(*arguments)
