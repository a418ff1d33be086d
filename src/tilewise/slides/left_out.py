"""Notes of a reader that tell of image data which it did not take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

LEFT_OUT: Final = "left out: "
"""How such a note begins."""


def left_out(notes: Iterable[str]) -> tuple[str, ...]:
    """What a reader left out that could be image data, from its notes: further pages, planes, channels, frames."""
    return tuple(note.removeprefix(LEFT_OUT) for note in notes if note.startswith(LEFT_OUT))
