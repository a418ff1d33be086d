"""Decoders log what they stumble over; we say it once, in the error."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from typing import Final

_LOGGERS: Final = ("tifffile", "imagecodecs")


@contextlib.contextmanager
def quiet_decoders() -> Iterator[None]:
    """Drop what tifffile and imagecodecs log in this thread; other threads and loggers are left alone."""
    thread = threading.get_ident()

    def from_elsewhere(record: logging.LogRecord) -> bool:
        return record.thread != thread

    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addFilter(from_elsewhere)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(from_elsewhere)
