"""Warnings of new slides as a person reads them: the gravest first, and one line for each kind."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

COPY_OF_TRAINING = "the same pixels as the training slide"
NOT_CLASSIFIED = "NOT CLASSIFIED"
# In the order they are shown in, before all others.
_GRAVE = (COPY_OF_TRAINING, NOT_CLASSIFIED, "many tiles", "out of distribution")
_NUMBER = re.compile(r"\d+(\.\d+)?")


def fold_warnings(warnings: Mapping[str, Sequence[str]]) -> list[str]:
    """One line for each kind of warning, with how many slides it is about and the first of them.

    Warnings that differ in numbers alone are of one kind, and so are all copies of training slides.

    Args:
        warnings: slide -> sentences.
    """
    slides_of: dict[str, list[tuple[str, str]]] = {}
    for name, sentences in warnings.items():
        for text in sentences:
            kind = COPY_OF_TRAINING if COPY_OF_TRAINING in text else _NUMBER.sub("0", text)
            slides_of.setdefault(kind, []).append((name, text))
    ordered = sorted(slides_of, key=_gravity)
    return [_line(slides_of[kind]) for kind in ordered]


def copies_of_training(warnings: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Slides that have the pixels of a training slide."""
    return tuple(name for name, sentences in warnings.items() if any(COPY_OF_TRAINING in text for text in sentences))


def _gravity(kind: str) -> int:
    return next((place for place, words in enumerate(_GRAVE) if words in kind), len(_GRAVE))


def _line(occurrences: Sequence[tuple[str, str]]) -> str:
    name, text = occurrences[0]
    return f"{name}: {text}" if len(occurrences) == 1 else f"{len(occurrences)} slides, as {name}: {text}"
