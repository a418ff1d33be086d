"""Two slides that show the same tissue, or neighbouring sections of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Pair:
    """What two slides have to do with each other.

    Attributes:
        slide, other: their names, in the order they came.
        relation: `copy`: the same pixels once, whatever was done to them; `section`: other pixels of the same tissue,
            a neighbouring section or a field that overlaps in part.
        transform: how `slide` lies on `other`, in words.
        overlap: share of the smaller tissue that both show, 0..1.
        similarity: correlation where the content is the same, 0..1; of cells, or of gross structure for neighbouring
            sections.
        confidence: 0..1.
        differs: share of the overlap whose content differs, 0..1: something was pasted there.
        derived: which of the two was made from the other, where that can be told.
        reason: why, as a clause; empty without `derived`.
    """

    slide: str
    other: str
    relation: Literal["copy", "section"]
    transform: str
    overlap: float
    similarity: float
    confidence: float
    differs: float
    derived: str | None = None
    reason: str = ""
