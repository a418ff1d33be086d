"""Findings and the decisions taken on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Final, Literal, get_args

if TYPE_CHECKING:
    import pandas as pd

Action = Literal["keep", "fix-mask", "repair", "relabel", "drop"]
"""What is done about a finding, the mildest first."""
GRAVITY: Final[dict[str, int]] = {action: place for place, action in enumerate(get_args(Action))}

COPIES = frozenset({"exact-copy", "near-copy"})
KINDS = COPIES | {
    "shared-mask", "in-both", "neighbouring-section", "not-histology", "other-stain", "ink", "pen", "mask-missing",
    "mask-empty", "mask-size", "mask-unreadable", "mask-is-slide", "mask-not-binary", "mask-inverted", "mask-full",
    "mask-outside-tissue", "mask-on-ink", "unreadable", "too-large", "damaged", "blank", "blurred", "dark", "bright",
    "tissue-area", "label-missing", "label-conflict", "name-family", "magnification", "left-out", "bit-depth",
}  # fmt: skip
"""Every kind of finding there is."""
INVERT: Final = "invert"
"""The value of `fix-mask` where a mask is used the other way round."""
_MOST_ROWS = 40
_MOST_LISTED = 6
TWIN_HERE = "its clean twin"
"""Said of ink that is not repaired because the slide goes as a copy."""


@dataclass(frozen=True, order=True)
class Finding:
    """One fault of one slide, with what to do about it.

    `other` is the second slide where the fault is a relation; `confidence` runs from 0 to 1; `value` says more of the
    proposal, as a decision's does.
    """

    slide: str
    kind: str
    other: str
    proposal: Action
    confidence: float
    evidence: str
    value: str = ""

    @property
    def proposed(self) -> str:
        """The proposal and its value in words: `fix-mask: invert`."""
        return f"{self.proposal}: {self.value}" if self.value else self.proposal

    @property
    def is_note(self) -> bool:
        """Whether it asks for nothing: the slide is kept as it is unless somebody decides otherwise."""
        return self.proposal == "keep"


@dataclass(frozen=True)
class Decision:
    """What is done about a finding. `value` holds the new label of `relabel`, and `invert` of a `fix-mask` that does.

    `proposal` is what the audit proposed, its value behind a colon.
    """

    slide: str
    finding: str
    proposal: str
    decision: Action
    value: str = ""
    reason: str = ""
    author: str = "tilewise"
    time: str = ""

    @property
    def inverts(self) -> bool:
        """Whether the slide's mask is used the other way round."""
        return self.decision == "fix-mask" and self.value == INVERT


class Findings(tuple[Finding, ...]):
    """Findings about the slides of a cohort, a tuple."""

    __slots__ = ()

    def __repr__(self) -> str:
        return _counted("Findings", [finding.kind for finding in self])

    def _repr_html_(self) -> str:
        """The table, for notebooks."""
        return str(self.to_frame().to_html(index=False, max_rows=_MOST_ROWS))

    def to_frame(self) -> pd.DataFrame:
        """A row for each finding: slide, kind, other, proposal, confidence, evidence, value."""
        return _frame(Finding, self)


class Decisions(tuple[Decision, ...]):
    """What is done about the findings of a cohort, a tuple."""

    __slots__ = ()

    def __repr__(self) -> str:
        return _counted("Decisions", [decision.decision for decision in self])

    def _repr_html_(self) -> str:
        """The table, for notebooks."""
        return str(self.to_frame().to_html(index=False, max_rows=_MOST_ROWS))

    def to_frame(self) -> pd.DataFrame:
        """A row for each decision: slide, finding, proposal, decision, value, reason, author, time."""
        return _frame(Decision, self)


def _counted(name: str, words: Sequence[str]) -> str:
    counts = Counter(words).most_common()
    listed = ", ".join(f"{word} {num}" for word, num in counts[:_MOST_LISTED])
    more = f" and {len(counts) - _MOST_LISTED} further kinds" if len(counts) > _MOST_LISTED else ""
    return f"<{name}: {len(words)}{f' ({listed}{more})' if counts else ''}>"


def _frame(kind: type[Finding | Decision], items: Iterable[Finding | Decision]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame([asdict(item) for item in items], columns=[field.name for field in fields(kind)])
