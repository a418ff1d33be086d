"""All checks in order: facts in, findings out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from tilewise.auditing.config import AuditConfig
from tilewise.auditing.copies import Pair
from tilewise.auditing.damage import damage_findings
from tilewise.auditing.facts import SlideFacts
from tilewise.auditing.finding import COPIES, TWIN_HERE, Finding
from tilewise.auditing.groups import infer_groups
from tilewise.auditing.histology import cohort_distance, not_histology, other_stain
from tilewise.auditing.ink import InkFacts, ink_findings
from tilewise.auditing.labels import label_conflicts, labels_missing, name_families
from tilewise.auditing.magnification import magnifications
from tilewise.auditing.masks import mask_findings
from tilewise.auditing.quality import quality as quality_findings
from tilewise.auditing.reading import parts_left_out, unused_bits
from tilewise.auditing.relations import Suspects, copies, sections
from tilewise.auditing.shared_masks import shared_masks
from tilewise.cohort import Slide
from tilewise.execution import Failure

# A blob this sure and this large, as a share of the slide, may be most of what looks like tissue.
_SURE, _LARGE = 0.9, 0.01


def unreadable(failures: tuple[Failure, ...]) -> Iterator[Finding]:
    """Slides whose file could not be read, or holds more pixels than may be decoded at once."""
    for failure in failures:
        kind = "too-large" if failure.error == "SlideTooLarge" else "unreadable"
        yield Finding(failure.item, kind, "", "drop", 1.0, failure.message)


def find_all(
    slides: Mapping[str, Slide], facts: Mapping[str, SlideFacts], pairs: Iterable[Pair], config: AuditConfig
) -> tuple[Finding, ...]:
    """Every finding about slides that could be read.

    Args:
        slides: of the cohort, by id.
        facts: of those that could be read.
        pairs: near copies and neighbouring sections among them.
        config: what to propose.
    """
    pairs = tuple(pairs)
    quality = list(quality_findings({name: fact.quality for name, fact in facts.items()}))
    samples = {name: fact.samples for name, fact in facts.items()}
    black = {
        item.slide for item in unused_bits(quality, samples) if item.kind == "bit-depth" and item.proposal == "drop"
    }
    # Of a slide without tissue nobody can say what tissue it shows, nor of one whose tissue lies under a blob.
    blank = {item.slide for item in quality if item.kind == "blank"}
    blotted = {name for name, fact in facts.items() if _is_blotted(fact.ink)}
    histology = {name: fact.histology for name, fact in facts.items() if name not in blank | blotted | black}
    painted = {name for name, fact in facts.items() if len({spot.colour for spot in fact.ink.blobs}) == 1}
    foreign = list(not_histology(histology, painted))
    # The colours of a drawing, and the night of a picture without light, are no ink; and no drawing is in focus.
    spoilt = {item.slide for item in foreign if item.proposal == "drop"}
    quality = [item for item in quality if item.kind != "blurred" or item.slide not in spoilt]
    spoilt |= {item.slide for item in quality if item.kind == "dark"}
    ink = list(ink_findings({name: fact.ink for name, fact in facts.items() if name not in spoilt}))
    stains = list(other_stain(histology, painted))
    inked = frozenset(item.slide for item in ink if item.kind == "ink" and item.proposal != "keep")
    suspects = Suspects(
        frozenset(item.slide for item in foreign if item.proposal == "drop"),
        inked,
        other_stain=frozenset(item.slide for item in stains),
        distances=cohort_distance(histology),
    )
    masked = list(shared_masks(slides, facts, pairs, suspects))
    # Which of two copies is the better one does not depend on what the recipe does about faults.
    damaged = list(damage_findings({name: fact.damage for name, fact in facts.items()}))
    grave = frozenset(
        item.slide for item in [*foreign, *stains, *quality, *damaged, *masked] if item.proposal == "drop"
    )
    suspects = replace(suspects, spoilt=grave)
    related = [
        *copies(slides, facts, pairs, suspects, config),
        *sections(pairs),
        *(_as_chosen(item, config.not_histology) for item in masked),
    ]
    # A slide that goes as a copy, or is no histology, need not be repaired.
    going = {item.slide for item in related if item.kind in COPIES and item.proposal == "drop"}
    gone = {item.slide: item.other for item in related if item.kind in COPIES and item.slide in going}
    clean = {name: other for name, other in gone.items() if other not in going and other not in inked}
    unseen = blank | {item.slide for item in quality if item.kind == "bright" and item.proposal == "drop"}
    masks = mask_findings(
        slides,
        {name: fact.mask for name, fact in facts.items()},
        {name: fact.tissue_share for name, fact in facts.items()},
    )
    found = [
        # Where no tissue can be seen, no mask lies on it.
        *(item for item in masks if item.kind != "mask-outside-tissue" or item.slide not in unseen),
        *(_as_chosen(item, config.not_histology) for item in foreign),
        *(_as_chosen(item, config.not_histology) for item in stains),
        *(_ink(item, gone, clean, config) for item in ink),
        *(_as_chosen(item, config.quality) for item in (*unused_bits(quality, samples), *damaged)),
        *parts_left_out({name: fact.notes for name, fact in facts.items()}),
        *related,
        *magnifications({name: fact.mpp for name, fact in facts.items()}),
        *labels_missing(slides),
        *name_families(slides),
    ]
    found += label_conflicts(slides, infer_groups(slides, found))
    return tuple(sorted(found))


def _as_chosen(finding: Finding, choice: str) -> Finding:
    return replace(finding, proposal="keep") if choice == "keep" else finding


def _is_blotted(ink: InkFacts) -> bool:
    """Whether one blob lies there, large and beyond doubt; drawings have many small ones of many colours."""
    return len(ink.blobs) == 1 and ink.blobs[0].confidence >= _SURE and ink.blobs[0].area_share >= _LARGE


def _ink(finding: Finding, gone: Mapping[str, str], clean: Mapping[str, str], config: AuditConfig) -> Finding:
    if finding.proposal == "keep":
        return finding
    if finding.slide in gone:
        what = f"{TWIN_HERE} {clean[finding.slide]} is here" if finding.slide in clean else "the slide goes as a copy"
        return replace(finding, proposal="drop", evidence=f"{finding.evidence}; {what}, so it is not repaired")
    if config.ink == "keep" or (config.ink == "drop" and finding.kind == "ink"):
        return replace(finding, proposal=config.ink)
    return finding
