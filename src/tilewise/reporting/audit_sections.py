"""Findings to cards: the two sides of a pair on one card, the gravest first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from tilewise.auditing.apply import MASK_INVERTED
from tilewise.auditing.cohort import AuditedCohort
from tilewise.auditing.finding import GRAVITY, Decision, Finding
from tilewise.cohort import Cohort, Slide
from tilewise.reporting.audit_cards import Card, CardFigure, Entry, Section
from tilewise.reporting.audit_kinds import AGAINST, KINDS, Kind, kind_of
from tilewise.reporting.audit_pictures import PictureRequest
from tilewise.reporting.text import percent, without_folders

_OWN_AUTHOR: Final = "tilewise"
_REPAIRED: Final = {"ink", "mask-on-ink"}


@dataclass(frozen=True)
class Sources:
    """What cards are made from.

    Attributes:
        audited: findings and decisions.
        cohort: every slide as it was found, also those that were dropped.
        others: slides of the other cohort, by the name that findings have for them.
    """

    audited: AuditedCohort
    cohort: Cohort
    others: Mapping[str, Slide]


class _Member(NamedTuple):
    """One side of a finding: slides of two cohorts may have one name."""

    name: str
    outside: bool


def sections(sources: Sources) -> tuple[Section, ...]:
    """One section per kind that was found: first what is dropped, then what is changed, last what only informs."""
    by_kind: dict[str, list[Finding]] = defaultdict(list)
    for finding in sources.audited.findings:
        by_kind[finding.kind].append(finding)
    builder = _CardBuilder(sources)
    unordered = [
        Section(kind_of(name), builder.cards(kind_of(name), findings), len({finding.slide for finding in findings}))
        for name, findings in by_kind.items()
    ]
    order = {name: place for place, name in enumerate(KINDS)}

    def place(section: Section) -> tuple[int, int, str]:
        return (-section.gravity, order.get(section.kind.name, len(order)), section.kind.name)

    return tuple(sorted(unordered, key=place))


class _CardBuilder:
    def __init__(self, sources: Sources) -> None:
        self._others = sources.others
        self._root = str(sources.cohort.root)
        self._slides = {slide.slide_id: slide for slide in sources.cohort.slides}
        self._audited = {item.slide_id: item for item in sources.audited.slides}
        self._decisions = {(decision.slide, decision.finding): decision for decision in sources.audited.decisions}
        self._fates = sources.audited.actions()
        self._kinds_of: dict[str, set[str]] = defaultdict(set)
        for finding in sources.audited.findings:
            self._kinds_of[finding.slide].add(finding.kind)

    def cards(self, kind: Kind, findings: list[Finding]) -> tuple[Card, ...]:
        """The two findings of a pair share a card."""
        together: dict[tuple[_Member, ...], list[Entry]] = defaultdict(list)
        for finding in findings:
            members = {_Member(finding.slide, outside=False)}
            if finding.other:
                outside = kind.name == AGAINST or finding.other not in self._slides
                members.add(_Member(finding.other, outside=outside))
            together[tuple(sorted(members))].append(self._entry(finding))
        cards = [
            self._card(kind, number, members, sorted(entries, key=_gravest_first))
            for number, (members, entries) in enumerate(sorted(together.items()))
        ]
        return tuple(sorted(cards, key=lambda card: _gravest_first(card.entries[0])))

    def _entry(self, finding: Finding) -> Entry:
        decision = self._decisions.get((finding.slide, finding.kind)) or Decision(
            finding.slide, finding.kind, finding.proposed, finding.proposal, finding.value
        )
        by_person = decision.author not in {"", _OWN_AUTHOR}
        return Entry(
            slide=finding.slide,
            other=finding.other,
            proposal=finding.proposal,
            proposed=finding.proposed,
            confidence=finding.confidence,
            evidence=without_folders(finding.evidence, self._root),
            decision=decision.decision,
            value=decision.value,
            author=decision.author if by_person else "",
            reason=decision.reason if by_person and decision.reason != finding.evidence else "",
            time=decision.time.partition("T")[0] if by_person else "",
        )

    def _card(self, kind: Kind, number: int, members: tuple[_Member, ...], entries: list[Entry]) -> Card:
        decided = {_Member(entry.slide, outside=False): entry.decision for entry in entries}
        figures: list[CardFigure] = []
        if kind.layout != "list":
            # The slide that stays stands left, the one that goes stands right.
            ordered = sorted(members, key=lambda member: (GRAVITY[decided.get(member, "keep")], member))
            figures = [self._figure(kind, member, decided.get(member, "")) for member in ordered]
        slide = self._slides[entries[0].slide]
        if kind.layout == "mask" and slide.mask_path is not None:
            figures.append(CardFigure("", "", PictureRequest(slide, "mask"), note="the mask as its file holds it"))
        names = {member.name for member in members if not member.outside}
        others = set().union(*(self._kinds_of[name] for name in names)) - {kind.name}
        return Card(
            anchor=f"{kind.name}-{number}",
            entries=tuple(entries),
            figures=tuple(figures),
            also=tuple(kind_of(name) for name in sorted(others)),
        )

    def _figure(self, kind: Kind, member: _Member, decision: str) -> CardFigure:
        slide = (self._others if member.outside else self._slides).get(member.name)
        if slide is None:
            return CardFigure(member.name, "", None, decision, note="it is no slide of this cohort", outside=True)
        request, note = PictureRequest(slide), "of the other cohort" if member.outside else ""
        audited_slide = None if member.outside else self._audited.get(member.name)
        if kind.name in _REPAIRED and audited_slide is not None and audited_slide.before_after is not None:
            request = PictureRequest(Slide(slide.slide_id, audited_slide.before_after), "file")
            lost = percent(audited_slide.tissue_lost, 1)
            note = f"before and after (orange: ink, blue: mask); {lost} of the tissue is lost"
        elif audited_slide is not None and MASK_INVERTED in audited_slide.repaired:
            request = PictureRequest(replace(slide, mask_path=audited_slide.slide.mask_path))
            note = "outlined: the mask as it is used, inverted"
        return CardFigure(
            name=member.name,
            label=slide.label or ("" if member.outside else "no label"),
            request=request,
            decision=decision,
            fate="" if member.outside else self._fates.get(member.name, ""),
            note=note,
            labelled=slide.label is not None,
            outside=member.outside,
        )


def _gravest_first(entry: Entry) -> tuple[int, int, float, str, str]:
    return (-GRAVITY[entry.decision], -GRAVITY[entry.proposal], -entry.confidence, entry.slide, entry.other)
