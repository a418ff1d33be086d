"""The notes of readers, by kind: how slides were read, counted over slides."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_NUMBER: Final = re.compile(r"\d+(?:,\d+)*(?:\.\d+)?")


@dataclass(frozen=True)
class NoteKind:
    """Notes that say the same of one or more slides, whatever the numbers in them.

    Attributes:
        notes: slide -> its own note, in the order of the slides.
    """

    notes: Mapping[str, str]

    @property
    def text(self) -> str:
        """The note; where the slides differ in a number, the least and the largest of them."""
        notes = tuple(dict.fromkeys(self.notes.values()))
        numbers = [_NUMBER.findall(note) for note in notes]
        if len({len(values) for values in numbers}) > 1:  # a slide has two such notes
            return _NUMBER.sub("…", min(notes, key=len))
        ranges = iter([_range(values) for values in zip(*numbers, strict=True)])
        return _NUMBER.sub(lambda _: next(ranges), notes[0])

    @property
    def is_same(self) -> bool:
        """Whether the notes are equal, numbers and all."""
        return len(set(self.notes.values())) == 1

    def sentence(self) -> str:
        """The note behind the number of its slides."""
        return f"{len(self.notes)} slide{'s' * (len(self.notes) > 1)}: {self.text}"

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"note": self.text, "slides": dict(self.notes)}


def _range(numbers: Sequence[str]) -> str:
    ordered = sorted(numbers, key=lambda number: float(number.replace(",", "")))
    return ordered[0] if ordered[0] == ordered[-1] else f"{ordered[0]} to {ordered[-1]}"


def note_kinds(notes: Mapping[str, Sequence[str]]) -> tuple[NoteKind, ...]:
    """Group notes by what they say, what concerns most slides first.

    Args:
        notes: slide -> its notes.
    """
    by_kind: dict[str, dict[str, str]] = defaultdict(dict)
    for slide, own in notes.items():
        for note in own:
            slides = by_kind[_NUMBER.sub("…", note)]
            slides[slide] = f"{slides[slide]}; {note}" if slide in slides else note
    return tuple(NoteKind(by_kind[kind]) for kind in sorted(by_kind, key=lambda kind: (-len(by_kind[kind]), kind)))
