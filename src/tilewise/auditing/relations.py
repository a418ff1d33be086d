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
from tilewise.auditing.labels import named_like_a_copy
from tilewise.cohort import Slide


@dataclass(frozen=True)
class Suspects:
    """What other checks say about single slides, to tell which of a pair is the fault.

    Attributes:
        not_histology: slides that other checks would drop because they are no histology.
        inked: slides with a blob of ink.
        spoilt: slides that any check but that for copies would drop.
        other_stain: slides of another stain than the cohort's.
        distances: how far slides lie from the cohort, `cohort_distance`.
    """

    not_histology: frozenset[str]
    inked: frozenset[str]
    spoilt: frozenset[str] = frozenset()
    other_stain: frozenset[str] = frozenset()
    distances: Mapping[str, float] = field(default_factory=dict)


def copies(
    slides: Mapping[str, Slide],
    facts: Mapping[str, SlideFacts],
    pairs: Iterable[Pair],
    suspects: Suspects,
    config: AuditConfig,
) -> Iterator[Finding]:
    """Slides that show the same tissue. The best one stays, of equals the first by name.

    A slide goes only where one that it was itself found to show stays; a copy of its copy is not enough.
    """
    equal = equal_pixels(facts)
    exact = [(names[0], other) for names in equal for other in names[1:]]
    same = {name: fact.pixel_digest for name, fact in facts.items()}
    near = [pair for pair in pairs if pair.relation == "copy" and same[pair.slide] != same[pair.other]]
    related = join_all([*exact, *((pair.slide, pair.other) for pair in near)])
    partners: dict[str, set[str]] = defaultdict(set)
    for names in [*equal, *((pair.slide, pair.other) for pair in near)]:
        for name in names:
            partners[name] |= set(names) - {name}
    kept: dict[str, _Verdict] = {}
    for names in _clusters(related):
        conflict = len({slides[name].label for name in names} - {None}) > 1
        stay: list[str] = []
        for name in sorted(names, key=lambda name: _rank(name, slides, facts, near, suspects)):
            better = next((one for one in stay if one in partners[name]), name)
            kept[name] = _Verdict(better, conflict, names)
            if better == name:
                stay.append(name)
    for one, two in exact:
        for name, other in ((one, two), (two, one)):
            verdict = kept[name]
            text = f"all pixels equal those of {other}"
            yield Finding(name, "exact-copy", other, _proposal(name, verdict, config), 1.0,
                          f"{text}; {_labels(slides, verdict)}")  # fmt: skip
    for pair in near:
        for name, other in ((pair.slide, pair.other), (pair.other, pair.slide)):
            verdict = kept[name]
            reason = _reason(name, verdict.best, pair, suspects) if config.copies == "drop" else ""
            text = f"shows the same tissue as {other} ({pair.transform}; similarity {pair.similarity:.2f}){reason}"
            yield Finding(name, "near-copy", other, _proposal(name, verdict, config), round(pair.confidence, 3),
                          f"{text}; {_labels(slides, verdict)}")  # fmt: skip


def sections(pairs: Iterable[Pair]) -> Iterator[Finding]:
    """Neighbouring sections of one block: no copies, but never to be split between parts."""
    for pair in pairs:
        if pair.relation == "section":
            for name, other in ((pair.slide, pair.other), (pair.other, pair.slide)):
                text = (
                    f"a neighbouring section of {other} (agreement {pair.similarity:.2f}): kept, in one group with it"
                )
                yield Finding(name, "neighbouring-section", other, "keep", round(pair.confidence, 3), text)


def between(pairs: Iterable[Pair], ours: Mapping[str, SlideFacts], theirs: Mapping[str, SlideFacts],
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
    return alike({name: fact.pixel_digest for name, fact in facts.items()})


def alike(digests: Mapping[str, str]) -> list[list[str]]:
    """Names with equal digests, in sets of two and more."""
    sets = defaultdict(list)
    for name, digest in digests.items():
        sets[digest].append(name)
    return [sorted(names) for names in sets.values() if len(names) > 1]


@dataclass(frozen=True)
class _Verdict:
    best: str
    conflict: bool
    names: tuple[str, ...]


def _proposal(name: str, verdict: _Verdict, config: AuditConfig) -> Action:
    if config.copies == "keep":
        return "keep"
    if name != verdict.best or (verdict.conflict and config.conflicts == "drop"):
        return "drop"
    return "keep"


def _labels(slides: Mapping[str, Slide], verdict: _Verdict) -> str:
    if not verdict.conflict:
        return "the same label"
    labels = sorted({str(slides[name].label) for name in verdict.names if slides[name].label is not None})
    return f"conflicting labels ({', '.join(labels)}): nobody can tell which is right"


def _rank(
    name: str, slides: Mapping[str, Slide], facts: Mapping[str, SlideFacts], near: Sequence[Pair], suspects: Suspects
) -> tuple[object, ...]:
    """Smaller is better: real tissue, no ink, not made from another one, with label and mask, first by name."""
    fact = facts[name]
    derived = any(pair.derived == name for pair in near)
    unmarked = fact.mask is None or not fact.mask.share or fact.mask.is_off_tissue
    unmarked |= fact.mask is not None and bool(fact.mask.fault)
    inked = name in suspects.inked
    unlabelled = slides[name].label is None
    spoilt = name in suspects.not_histology or name in suspects.spoilt
    return spoilt, inked, derived, unlabelled, unmarked, named_like_a_copy(name), name


def _reason(name: str, best: str, pair: Pair, suspects: Suspects) -> str:
    if name == best:
        return "; this one is kept"
    if name in suspects.not_histology:
        return "; this one's tissue was replaced"
    if name in suspects.inked and best not in suspects.inked:
        return "; this one carries ink and its clean twin is here"
    return f"; {pair.reason}" if pair.derived == name and pair.reason else ""


def _clusters(roots: Mapping[str, str]) -> list[tuple[str, ...]]:
    members = defaultdict(list)
    for name, root in sorted(roots.items()):
        members[root].append(name)
    return [tuple(names) for names in members.values()]
