"""How long one slide may take in one stage: a hanging disk must not stop the others."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Final

from tilewise.errors import SlideTimeout, UsageError

VARIABLE: Final = "TILEWISE_SLIDE_TIMEOUT"


def slide_time_limit(default_s: float = 3600.0) -> float | None:
    """Seconds that one slide may take in one stage: `$TILEWISE_SLIDE_TIMEOUT`, else the default; None for no limit (0).

    Raises:
        UsageError: the variable holds no number.
    """
    text = os.environ.get(VARIABLE, "")
    try:
        seconds = float(text) if text else default_s
    except ValueError as error:
        raise UsageError(f"{VARIABLE}={text}: give a number of seconds, or 0 for no limit") from error
    return seconds if seconds > 0 else None


def too_slow(name: str, seconds: float) -> SlideTimeout:
    """The error of a slide that took longer than that."""
    return SlideTimeout(
        f"{name}: stopped after {seconds:g} s without an end (a disk or network folder that hangs, or a damaged file); "
        f"copy it to a local disk, take it out of the cohort, or set {VARIABLE} to more seconds"
    )


@contextlib.contextmanager
def time_limit(name: str, seconds: float | None) -> Iterator[None]:
    """Raise `SlideTimeout` inside the block when it takes longer, wherever it waits for a file or computes in Python.

    Works in the main thread, where the platform has timers; elsewhere there is no limit. A decoder that hangs in
    compiled code is only stopped where it runs in a worker process, by `run_each`.
    """
    if seconds is None or not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise too_slow(name, seconds)

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
