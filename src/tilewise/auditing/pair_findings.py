"""Findings about two slides that show one tissue, and which of the two is the fault."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tilewise.auditing.config import AuditConfig
from tilewise.auditing.copies import Pair
from tilewise.auditing.facts import SlideFacts
from tilewise.auditing.finding import Action, Finding
from tilewise.auditing.groups import join_all
from tilewise.auditing.labels import is_named_like_copy
from tilewise.cohort import Slide


@dataclass(frozen=True)
class SlideFaults:
    """Faults of single slides, which tell the worse one of a pair.

    Attributes:
        not_histology: slides that surely show no stained tissue.
        inked: slides with a blob of ink.
        grave: slides that any check but that for copies would drop.
        other_stain: slides of another stain than the cohort's.
        distances: how far slides lie from the cohort, `cohort_distance`.
    """

    not_histology: frozenset[str] = frozenset()
    inked: frozenset[str] = frozenset()
    grave: frozenset[str] = frozenset()
    other_stain: frozenset[str] = frozenset()
    distances: Mapping[str, float] = field(default_factory=dict)


def copy_findings(
    slides: Mapping[str, Slide],
    facts: Mapping[str, SlideFacts],
    pairs: Iterable[Pair],
    faults: SlideFaults,
    config: AuditConfig,
) -> Iterator[Finding]:
    """Slides that show the same tissue. The best one stays, of equals the first by name.

    A slide goes only where one that it was itself found to show stays; a copy of its copy is not enough.
    """
    equal = equal_pixels(facts)
    near = _near_copies(pairs, facts)
    choices = _choose(equal, near, slides, facts, faults)
    for one, two in ((names[0], other) for names in equal for other in names[1:]):
        for name, other in ((one, two), (two, one)):
            text = f"all pixels equal those of {other}; {choices[name].label_words}"
            yield Finding(name, "exact-copy", other, _proposal(name, choices[name], config), 1.0, text)
    for pair in near:
        for name, other in pair.both_ways:
            choice = choices[name]
            reason = _reason(name, choice.best, pair, faults) if config.copies == "drop" else ""
            text = f"shows the same tissue as {other} ({pair.transform}; similarity {pair.similarity:.2f}){reason}"
            yield Finding(name, "near-copy", other, _proposal(name, choice, config), round(pair.confidence, 3),
                          f"{text}; {choice.label_words}")  # fmt: skip


def section_findings(pairs: Iterable[Pair]) -> Iterator[Finding]:
    """Neighbouring sections of one block: no copies, but never to be split between parts."""
    for pair in pairs:
        if pair.relation == "section":
            for name, other in pair.both_ways:
                text = (
                    f"a neighbouring section of {other} (agreement {pair.similarity:.2f}): kept, in one group with it"
                )
                yield Finding(name, "neighbouring-section", other, "keep", round(pair.confidence, 3), text)


def cross_cohort_findings(pairs: Iterable[Pair], ours: Mapping[str, SlideFacts], theirs: Mapping[str, SlideFacts],
            config: AuditConfig) -> Iterator[Finding]:  # fmt: skip
    """Slides of ours that stand in another cohort too, as they are, changed, or as the next section."""
    action: Action = "drop" if config.copies == "drop" else "keep"
    by_pixels = {fact.pixel_digest: name for name, fact in sorted(theirs.items(), reverse=True)}
    exact = {name: by_pixels[fact.pixel_digest] for name, fact in ours.items() if fact.pixel_digest in by_pixels}
    for name, other in exact.items():
        yield Finding(name, "in-both", other, action, 1.0, f"all pixels equal those of {other} of the other cohort")
    for pair in pairs:
        if pair.slide in exact:
            continue
        if pair.relation == "copy":
            text = f"shows the same tissue as {pair.other} of the other cohort ({pair.transform})"
            yield Finding(pair.slide, "in-both", pair.other, action, round(pair.confidence, 3), text)
        else:
            text = f"a neighbouring section of {pair.other} of the other cohort: probably of the same patient"
            yield Finding(pair.slide, "in-both", pair.other, "keep", round(pair.confidence, 3), text)


def equal_pixels(facts: Mapping[str, SlideFacts]) -> list[list[str]]:
    """Sets of slides with exactly the same pixels."""
    return equal_sets({name: fact.pixel_digest for name, fact in facts.items()})


def equal_sets(digests: Mapping[str, str]) -> list[list[str]]:
    """Names with equal digests, in sets of two and more."""
    sets = defaultdict(list)
    for name, digest in digests.items():
        sets[digest].append(name)
    return [sorted(names) for names in sets.values() if len(names) > 1]


def distinct_labels(names: Iterable[str], slides: Mapping[str, Slide]) -> tuple[str, ...]:
    """Labels that slides carry, in order; slides without one are left out."""
    labels = (slides[name].label for name in names)
    return tuple(sorted({label for label in labels if label is not None}))


def conflicting(labels: Sequence[str]) -> str:
    """Several labels of slides that belong together, in words."""
    return f"conflicting labels ({', '.join(labels)})"


def _near_copies(pairs: Iterable[Pair], facts: Mapping[str, SlideFacts]) -> list[Pair]:
    """Copies whose pixels are not equal."""
    digests = {name: fact.pixel_digest for name, fact in facts.items()}
    return [pair for pair in pairs if pair.relation == "copy" and digests[pair.slide] != digests[pair.other]]


@dataclass(frozen=True)
class _Choice:
    """The slide that stays for a slide, maybe itself, and the labels of all that show the same tissue."""

    best: str
    labels: tuple[str, ...]

    @property
    def is_conflict(self) -> bool:
        return len(self.labels) > 1

    @property
    def label_words(self) -> str:
        return f"{conflicting(self.labels)}: nobody can tell which is right" if self.is_conflict else "the same label"


def _choose(
    equal: Sequence[Sequence[str]], near: Sequence[Pair], slides: Mapping[str, Slide],
    facts: Mapping[str, SlideFacts], faults: SlideFaults,
) -> dict[str, _Choice]:  # fmt: skip
    """Choose for every slide with copies the one that stays."""
    sets = [*equal, *([pair.slide, pair.other] for pair in near)]
    partners: dict[str, set[str]] = defaultdict(set)
    for names in sets:
        for name in names:
            partners[name].update(names)
    choices: dict[str, _Choice] = {}
    for cluster in _clusters(join_all((names[0], other) for names in sets for other in names[1:])):
        labels = distinct_labels(cluster, slides)
        best: list[str] = []
        for name in sorted(cluster, key=lambda name: _rank(name, slides, facts, near, faults)):
            choices[name] = _Choice(next((one for one in best if one in partners[name]), name), labels)
            if choices[name].best == name:
                best.append(name)
    return choices


def _proposal(name: str, choice: _Choice, config: AuditConfig) -> Action:
    if config.copies == "keep":
        return "keep"
    return "drop" if name != choice.best or (choice.is_conflict and config.conflicts == "drop") else "keep"


def _rank(
    name: str, slides: Mapping[str, Slide], facts: Mapping[str, SlideFacts], near: Sequence[Pair], faults: SlideFaults
) -> tuple[object, ...]:
    """Smaller is better: real tissue, no ink, not made from another one, with label and mask, first by name."""
    fact = facts[name]
    derived = any(pair.derived == name for pair in near)
    unmarked = fact.mask is None or not fact.mask.share or fact.mask.is_off_tissue
    unmarked |= fact.mask is not None and bool(fact.mask.fault)
    inked = name in faults.inked
    unlabelled = slides[name].label is None
    grave = name in faults.not_histology or name in faults.grave
    return grave, inked, derived, unlabelled, unmarked, is_named_like_copy(name), name


def _reason(name: str, best: str, pair: Pair, faults: SlideFaults) -> str:
    if name == best:
        return "; this one is kept"
    if name in faults.not_histology:
        return "; this one's tissue was replaced"
    if name in faults.inked and best not in faults.inked:
        return "; this one carries ink and its clean twin is here"
    return f"; {pair.reason}" if pair.derived == name and pair.reason else ""


def _clusters(roots: Mapping[str, str]) -> list[tuple[str, ...]]:
    members = defaultdict(list)
    for name, root in sorted(roots.items()):
        members[root].append(name)
    return [tuple(names) for names in members.values()]
