"""Give every failure of a decoder the slide's name and a next step."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tilewise.errors import SlideError, SlideTooLarge, SlideUnreadable

_LOGGERS: Final = ("tifffile", "imagecodecs")


@contextlib.contextmanager
def slide_errors(path: Path, what: str) -> Iterator[None]:
    """Turn whatever is raised inside into one error that names the slide; slide errors pass as they are.

    Args:
        path: of the slide.
        what: went wrong, as the message shall call it.
    """
    try:
        with _quiet_decoders():
            yield
    except SlideError:
        raise
    except FileNotFoundError as error:
        raise SlideUnreadable(f"{path}: no such file; correct the path or put the file there") from error
    except IsADirectoryError as error:
        raise SlideUnreadable(f"{path}: this is a folder, not an image file; give the file") from error
    except PermissionError as error:
        raise SlideUnreadable(f"{path}: may not be read; change its permissions") from error
    except MemoryError as error:
        raise SlideTooLarge(f"{path}: not enough memory to decode it; scale it down or use fewer workers") from error
    except Exception as error:
        # Decoders raise whatever damage makes them stumble over; only a ValueError is meant to be read.
        stumbled = f"it is broken off or damaged ({type(error).__name__}: {error})"
        reason = str(error) if type(error) is ValueError else stumbled
        step = "" if "; save " in reason else ". Copy it again from its source, or save it as PNG"
        raise SlideUnreadable(f"{path}: {what}: {reason}{step}") from error


@contextlib.contextmanager
def _quiet_decoders() -> Iterator[None]:
    """Drop what tifffile and imagecodecs log in this thread: the error says it. Other threads and loggers go on."""
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
