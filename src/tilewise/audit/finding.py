"""Findings and the decisions taken on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Action = Literal["keep", "drop", "fix-mask", "relabel"]


@dataclass(frozen=True, order=True)
class Finding:
    """One fault of one slide, with what to do about it.

    `other` is the second slide where the fault is a relation; `confidence` runs from 0 to 1.
    """

    slide: str
    kind: str
    other: str
    proposal: Action
    confidence: float
    evidence: str


@dataclass(frozen=True)
class Decision:
    """What is done about a finding. `value` holds the new label of `relabel`."""

    slide: str
    finding: str
    proposal: str
    decision: Action
    value: str = ""
    reason: str = ""
    author: str = "tilewise"
    time: str = ""
