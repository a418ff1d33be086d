"""Cards of findings, and sections of cards: what the gallery shows."""

from __future__ import annotations

from dataclasses import dataclass

from tilewise.auditing.finding import GRAVITY
from tilewise.reporting.audit_kinds import Kind
from tilewise.reporting.audit_pictures import PictureRequest


@dataclass(frozen=True)
class Entry:
    """One finding with what is done about it.

    Attributes:
        slide: whose finding it is.
        other: the second slide of a relation; empty where there is none.
        proposal: of the audit.
        proposed: the same with its value, in words.
        confidence: 0 to 1.
        evidence: in a sentence.
        decision: in force.
        value: the new label, where the decision is `relabel`; `invert` where a mask is used the other way round.
        author: who decided, where it was not the audit itself.
        reason: what that person wrote.
        time: when they did.
    """

    slide: str
    other: str
    proposal: str
    proposed: str
    confidence: float
    evidence: str
    decision: str
    value: str = ""
    author: str = ""
    reason: str = ""
    time: str = ""

    @property
    def overruled(self) -> bool:
        """Whether a person decided otherwise than was proposed."""
        return (f"{self.decision}: {self.value}" if self.value else self.decision) != self.proposed

    def mirrors(self, first: Entry) -> bool:
        """Whether it says of the second slide of a pair no more than `first` says of the first one."""
        swapped = self.evidence.replace(self.other, first.other) if self.other else self.evidence
        same = (self.proposal, self.author, self.overruled) == (first.proposal, first.author, first.overruled)
        return swapped == first.evidence and (same or self.decision == self.proposal == "keep")


@dataclass(frozen=True)
class CardFigure:
    """One picture on a card: the slide's name and label, what is done with it, and how it is drawn.

    Attributes:
        name: of the slide; empty for a further picture of the slide before.
        label: of the slide, or the words that stand where there is none.
        request: what to draw; None where there is nothing to be drawn.
        decision: the answer to the card's finding, where the slide has one.
        fate: what becomes of the slide in the end.
        note: what is shown, where it is not the slide as it is.
        labelled: whether `label` is one.
        outside: whether the slide is of another cohort.
    """

    name: str
    label: str
    request: PictureRequest | None
    decision: str = ""
    fate: str = ""
    note: str = ""
    labelled: bool = False
    outside: bool = False

    @property
    def tall(self) -> bool:
        """Whether it holds two pictures of a slide, side by side or one above the other."""
        return self.request is not None and self.request.what == "file"

    @property
    def picture(self) -> str:
        """Key of its picture; equal ones are drawn once. Empty where there is none."""
        if self.request is None:
            return ""
        return f"{self.request.what} {self.request.slide.path} of {self.request.slide.mask_path}"


@dataclass(frozen=True)
class Card:
    """What a reader looks at: one or two slides, and the findings that concern them, the gravest first."""

    anchor: str
    entries: tuple[Entry, ...]
    figures: tuple[CardFigure, ...]
    also: tuple[Kind, ...]

    @property
    def decision(self) -> str:
        """The gravest decision in force."""
        return max((entry.decision for entry in self.entries), key=lambda action: GRAVITY[action])

    @property
    def proposal(self) -> str:
        """The gravest proposal."""
        return max((entry.proposal for entry in self.entries), key=lambda action: GRAVITY[action])

    @property
    def confidence(self) -> float:
        """Of the gravest finding."""
        return self.entries[0].confidence

    @property
    def labels_differ(self) -> bool:
        """Whether its slides carry different labels."""
        return len({figure.label for figure in self.figures if figure.labelled}) > 1

    @property
    def sentences(self) -> tuple[Entry, ...]:
        """The findings worth a sentence: not the second of a pair where it says the same the other way round."""
        first, *rest = self.entries
        return (first, *(entry for entry in rest if not entry.mirrors(first)))

    @property
    def pictures(self) -> tuple[str, ...]:
        """Keys of the pictures it shows, once for each time."""
        return tuple(figure.picture for figure in self.figures if figure.picture)

    @property
    def is_double(self) -> bool:
        """Whether it needs the room of two pictures."""
        return len(self.figures) > 1 or any(figure.tall for figure in self.figures)


@dataclass(frozen=True)
class Section:
    """All findings of one kind, the gravest first; `quiet` ones only inform."""

    kind: Kind
    cards: tuple[Card, ...]
    num_slides: int

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Every finding of the kind."""
        return tuple(entry for card in self.cards for entry in card.entries)

    @property
    def gravity(self) -> int:
        """Of the gravest thing that is proposed or done."""
        return max(max(GRAVITY[entry.proposal], GRAVITY[entry.decision]) for entry in self.entries)

    @property
    def quiet(self) -> bool:
        """Whether nothing but `keep` is proposed or done."""
        return self.gravity == 0
