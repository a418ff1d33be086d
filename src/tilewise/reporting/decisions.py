"""The audit's decisions in words, equal ones together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tilewise.auditing.finding import INVERT
from tilewise.reporting.data import DecisionRow

_OWN_AUTHOR = "tilewise"
_WORDS = {"keep": "kept", "drop": "left out", "relabel": "relabelled", "repair": "repaired"}
_INSTEAD = {"tissue": "tissue instead", "slide": "whole slide instead", "exclude": "slide left out"}


@dataclass(frozen=True)
class DecisionGroup:
    """Slides with the same finding, decision, reason and author; `decision` is in words."""

    finding: str
    decision: str
    reason: str
    author: str
    slides: tuple[str, ...]


def decision_groups(rows: Sequence[DecisionRow], *, fallback: str) -> list[DecisionGroup]:
    """Equal decisions together, in the order in which each comes first.

    Args:
        rows: one decision each.
        fallback: what the tile stage uses where a mask is not used: `tissue`, `slide` or `exclude`.
    """
    slides: dict[tuple[str, str, str, str], list[str]] = {}
    for row in rows:
        key = (row.finding, _words(row, fallback), row.reason, row.author)
        slides.setdefault(key, []).append(row.slide)
    return [DecisionGroup(*key, tuple(names)) for key, names in slides.items()]


def by_others(groups: Sequence[DecisionGroup]) -> bool:
    """Whether anyone but the audit itself took a decision."""
    return any(group.author not in {"", _OWN_AUTHOR} for group in groups)


def _words(row: DecisionRow, fallback: str) -> str:
    if row.decision == "fix-mask" and row.value == INVERT:
        return "mask inverted"
    if row.decision == "fix-mask":
        lead = "no mask" if row.finding == "mask-missing" else "mask not used"
        return f"{lead}; {_INSTEAD.get(fallback, fallback)}"
    words = _WORDS.get(row.decision, row.decision)
    return f"{words} as {row.value}" if row.value else words
