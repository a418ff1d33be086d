"""The gallery's first screen: one sentence, counts, class balance, groups, and where to look first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tilewise.auditing.apply import MASK_INVERTED
from tilewise.auditing.cohort import AuditedCohort
from tilewise.cohort import Cohort
from tilewise.reporting.audit_cards import Card, Section
from tilewise.reporting.audit_kinds import MENUS, menu_of
from tilewise.reporting.text import count

_UNSURE: Final = 0.9
_MOST_LINKS: Final = 12
_LARGEST_GROUPS: Final = 8
_SAME_PIXELS: Final = frozenset({"exact-copy", "near-copy", "shared-mask", "in-both"})
_SEVERAL_LABELS: Final = "in groups of more than one label (normal in a tissue block or a patient, a fault in copies)"
_FATES: Final = (
    ("keep", "kept as it is"),
    ("scaled", "kept with the mask scaled"),
    ("inverted", "kept with the mask inverted"),
    ("fix-mask", "kept without the mask"),
    ("relabel", "kept with a new label"),
    ("repair", "repaired"),
    ("drop", "dropped"),
)


@dataclass(frozen=True)
class DecisionCount:
    """How many slides share a fate; `share` of all slides, 0 to 1."""

    action: str
    words: str
    number: int
    share: float


@dataclass(frozen=True)
class KindRow:
    """One row of the table of counts: findings by what is proposed, and those that a person decided otherwise."""

    section: Section
    proposals: Mapping[str, int]
    overruled: int


@dataclass(frozen=True)
class ClassRow:
    """Slides of one class before and after the decisions; shares are of the largest number in the table."""

    label: str
    before: int
    after: int
    before_width: float
    after_width: float
    share_before: float
    share_after: float


@dataclass(frozen=True)
class GroupRow:
    """One group that was kept: its name, its slides, and the labels they carry."""

    name: str
    slides: tuple[str, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Groups:
    """The groups of the kept slides: how many, how large, and the largest of them."""

    number: int
    sizes: tuple[tuple[int, int], ...]
    largest: tuple[GroupRow, ...]
    num_conflicts: int


@dataclass(frozen=True)
class Pointer:
    """Something worth a person's eyes: a sentence, slides with the anchors of their cards, and how many more."""

    sentence: str
    links: tuple[tuple[str, str], ...]
    more: int


def verdict(audited: AuditedCohort, cohort: Cohort) -> str:
    """`691 slides: 581 kept, 50 repaired, 60 dropped.`, and what happens to some of those that are kept."""
    numbers = _numbers(audited)
    num_unchanged = numbers.total() - numbers["repair"] - numbers["drop"]
    repaired = f", {numbers['repair']} repaired" if numbers["repair"] else ""
    sentence = f"{count(len(cohort.slides), 'slide')}: {num_unchanged} kept{repaired}, {numbers['drop']} dropped."
    changed = [
        f"{numbers[action]} {words.removeprefix('kept ')}"
        for action, words in _FATES
        if words.startswith("kept with") and numbers[action]
    ]
    if not changed:
        return sentence
    listed = changed[0] if len(changed) == 1 else f"{', '.join(changed[:-1])} and {changed[-1]}"
    return f"{sentence} Of those kept, {listed}."


def _numbers(audited: AuditedCohort) -> Counter[str]:
    """How many slides share a fate; a mask that was scaled or inverted is another fate than one set aside."""
    fates = audited.actions()
    for item in audited.slides:
        if fates[item.slide_id] == "fix-mask" and item.use_mask:
            fates[item.slide_id] = "inverted" if MASK_INVERTED in item.repaired else "scaled"
    return Counter(fates.values())


def untouched(audited: AuditedCohort, cohort: Cohort) -> int:
    """Slides without any finding."""
    with_finding = {finding.slide for finding in audited.findings}
    return sum(slide.slide_id not in with_finding for slide in cohort.slides)


def fates(audited: AuditedCohort) -> tuple[DecisionCount, ...]:
    """What becomes of the slides, the mildest first; fates that nobody has are left out."""
    numbers = _numbers(audited)
    total = max(sum(numbers.values()), 1)
    return tuple(
        DecisionCount(action, words, numbers[action], numbers[action] / total)
        for action, words in _FATES
        if numbers[action]
    )


def kind_rows(all_sections: Sequence[Section]) -> tuple[KindRow, ...]:
    """Counts by kind and proposal, in the order of the sections."""
    rows = []
    for section in all_sections:
        proposals = Counter(entry.proposal for entry in section.entries)
        overruled = sum(entry.overruled for entry in section.entries)
        rows.append(KindRow(section, proposals, overruled))
    return tuple(rows)


def class_rows(audited: AuditedCohort, cohort: Cohort) -> tuple[ClassRow, ...]:
    """Slides per class as found, and as they go into training; slides without a label come last."""
    before = Counter(slide.label for slide in cohort.slides)
    after = Counter(item.slide.label for item in audited.slides)
    labels = [*sorted({label for label in before.keys() | after.keys() if label is not None})]
    labels += [None] if None in before or None in after else []  # type: ignore[list-item]
    most = max([*before.values(), *after.values(), 1])
    sums = (max(before.total() - before[None], 1), max(after.total() - after[None], 1))
    return tuple(
        ClassRow(
            label=label or "",
            before=before[label],
            after=after[label],
            before_width=before[label] / most,
            after_width=after[label] / most,
            share_before=before[label] / sums[0],
            share_after=after[label] / sums[1],
        )
        for label in labels
    )


def groups(audited: AuditedCohort) -> Groups:
    """Groups of the slides that were kept, as the audit left them."""
    members: dict[str, list[str]] = {}
    labels: dict[str, set[str]] = {}
    for item in audited.slides:
        members.setdefault(item.group, []).append(item.slide_id)
        if item.slide.label is not None:
            labels.setdefault(item.group, set()).add(item.slide.label)
    shared = sorted(
        (name for name, slides in members.items() if len(slides) > 1), key=lambda name: (-len(members[name]), name)
    )
    sizes = Counter(len(slides) for slides in members.values())
    rows = tuple(
        GroupRow(name, tuple(members[name]), tuple(sorted(labels.get(name, ())))) for name in shared[:_LARGEST_GROUPS]
    )
    conflicts = sum(len(labels.get(name, ())) > 1 for name in shared)
    return Groups(len(members), tuple(sorted(sizes.items())), rows, conflicts)


def look_first(all_sections: Sequence[Section]) -> tuple[Pointer, ...]:
    """What a person should see before trusting the decisions: contradictions, and drops that are not certain.

    Each slide is named once, with the first of its cards and every reason to look at it. Groups of several labels come
    last and by themselves, with as many slides as the table of findings counts.
    """
    reasons: dict[str, dict[str, Card]] = {}
    for reason, is_it in _REASONS.items():
        cards = [card for section in all_sections for card in section.cards if is_it(section, card)]
        for card in sorted(cards, key=lambda card: card.confidence):
            reasons.setdefault(card.entries[0].slide, {}).setdefault(reason, card)
    alike: dict[tuple[str, ...], dict[str, Card]] = {}
    for slide, by_reason in reasons.items():
        alike.setdefault(tuple(by_reason), {})[slide] = next(iter(by_reason.values()))
    pointers = [_pointer(", and ".join(words), cards) for words, cards in alike.items()]
    conflicts = [section for section in all_sections if section.kind.name == "label-conflict"]
    card_of = {entry.slide: card for section in conflicts for card in section.cards for entry in card.entries}
    if card_of:
        pointers.append(_pointer(_SEVERAL_LABELS, card_of))
    return tuple(pointers)


def _pointer(words: str, card_of: Mapping[str, Card]) -> Pointer:
    links = tuple((slide, card.anchor) for slide, card in card_of.items())
    return Pointer(f"{count(len(links), 'slide')} {words}", links[:_MOST_LINKS], max(len(links) - _MOST_LINKS, 0))


def _is_unsure(_: Section, card: Card) -> bool:
    return any(entry.proposal in {"drop", "repair"} and entry.confidence < _UNSURE for entry in card.entries)


_REASONS: Final[dict[str, Callable[[Section, Card], bool]]] = {
    "where a person decided otherwise than was proposed": lambda _, card: any(
        entry.overruled for entry in card.entries
    ),
    "paired with a copy of another label (a label or a slide may be wrong)": lambda section, card: (
        section.kind.name in _SAME_PIXELS and card.labels_differ
    ),
    f"to be dropped or repaired at a confidence below {_UNSURE:g}": _is_unsure,
}


def menus(all_sections: Sequence[Section]) -> list[tuple[str, list[tuple[str, str, bool, int]], int]]:
    """Kinds of findings in a few menus, each with its slides; see `navigation` in `page_head.html`."""
    in_menu: dict[str, list[Section]] = {menu: [] for menu in (*MENUS, "Others")}
    for section in all_sections:
        in_menu[menu_of(section.kind.name)].append(section)
    return [
        (
            menu,
            [(f"kind-{one.kind.name}", one.kind.title, True, one.num_slides) for one in own],
            len({entry.slide for one in own for entry in one.entries}),
        )
        for menu, own in in_menu.items()
    ]
