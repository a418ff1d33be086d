"""What checks work from: the facts of all slides, pairs among them, and what one check tells another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

from tilewise.auditing.config import AuditConfig
from tilewise.auditing.copies import Pair
from tilewise.auditing.damage import damage_findings
from tilewise.auditing.facts import SlideFacts
from tilewise.auditing.finding import Finding
from tilewise.auditing.histology import HistologyFacts, cohort_distance, not_histology, other_stain
from tilewise.auditing.ink import InkFacts, ink_findings
from tilewise.auditing.pair_findings import SlideFaults, copy_findings
from tilewise.auditing.quality import quality_findings
from tilewise.auditing.reading import unused_bits
from tilewise.auditing.shared_masks import shared_mask_findings
from tilewise.cohort import Slide

# A blob this sure and this large, as a share of the slide, may be most of what looks like tissue.
_SURE, _LARGE = 0.9, 0.01

_Measure = TypeVar("_Measure")


@dataclass(frozen=True)
class CohortEvidence:
    """Evidence about all slides of a cohort that could be read.

    Findings that more than one check needs are properties, worked out once and before any choice of the recipe.

    Attributes:
        slides: of the cohort, by id.
        facts: of those that could be read.
        pairs: near copies and neighbouring sections among them.
        config: what to propose.
    """

    slides: Mapping[str, Slide]
    facts: Mapping[str, SlideFacts]
    pairs: tuple[Pair, ...]
    config: AuditConfig

    def each(self, measure: Callable[[SlideFacts], _Measure]) -> dict[str, _Measure]:
        """One measure of every slide, by id."""
        return {name: measure(fact) for name, fact in self.facts.items()}

    @cached_property
    def quality(self) -> tuple[Finding, ...]:
        """Findings of light, focus and amount of tissue."""
        return tuple(quality_findings(self.each(lambda fact: fact.quality)))

    @cached_property
    def without_tissue(self) -> frozenset[str]:
        """Slides on which no tissue can be seen."""
        return slides_of(self.quality, "blank") | slides_of(dropping(self.quality), "bright")

    @cached_property
    def histology(self) -> dict[str, HistologyFacts]:
        """What the tissue of slides looks like, of those that show any.

        Of a slide without tissue nobody can say what tissue it shows, nor of one whose tissue lies under a blob.
        """
        samples = self.each(lambda fact: fact.samples)
        hidden = slides_of(self.quality, "blank") | slides_of(dropping(unused_bits(self.quality, samples)), "bit-depth")
        return {
            name: fact.histology
            for name, fact in self.facts.items()
            if name not in hidden and not _is_blotted(fact.ink)
        }

    @cached_property
    def one_ink(self) -> frozenset[str]:
        """Slides whose blobs are all of one colour."""
        colours = self.each(lambda fact: {spot.colour for spot in fact.ink.blobs})
        return frozenset(name for name, names in colours.items() if len(names) == 1)

    @cached_property
    def not_histology(self) -> tuple[Finding, ...]:
        """Findings of drawings, photographs and the like."""
        return tuple(not_histology(self.histology, self.one_ink))

    @cached_property
    def drawings(self) -> frozenset[str]:
        """Slides that surely show no stained tissue."""
        return slides_of(dropping(self.not_histology))

    @cached_property
    def other_stain(self) -> tuple[Finding, ...]:
        """Findings of slides of another stain."""
        return tuple(other_stain(self.histology, self.one_ink))

    @cached_property
    def ink(self) -> tuple[Finding, ...]:
        """Findings of ink; the colours of a drawing, and the night of a picture without light, are none."""
        without_ink = self.drawings | slides_of(self.quality, "dark")
        return tuple(ink_findings({name: fact.ink for name, fact in self.facts.items() if name not in without_ink}))

    @cached_property
    def damage(self) -> tuple[Finding, ...]:
        """Findings of damaged data."""
        return tuple(damage_findings(self.each(lambda fact: fact.damage)))

    @cached_property
    def single_faults(self) -> SlideFaults:
        """Faults that a slide shows by itself, or against the whole cohort."""
        return SlideFaults(
            not_histology=self.drawings,
            inked=frozenset(item.slide for item in self.ink if item.kind == "ink" and item.proposal != "keep"),
            other_stain=slides_of(self.other_stain),
            distances=cohort_distance(self.histology),
        )

    @cached_property
    def shared_masks(self) -> tuple[Finding, ...]:
        """Findings of different slides with one mask."""
        return tuple(shared_mask_findings(self.slides, self.facts, self.pairs, self.single_faults))

    @cached_property
    def copies(self) -> tuple[Finding, ...]:
        """Findings of copies. Which copy is the better one does not depend on what the recipe does about faults."""
        others = (*self.not_histology, *self.other_stain, *self.quality, *self.damage, *self.shared_masks)
        faults = replace(self.single_faults, grave=slides_of(dropping(others)))
        return tuple(copy_findings(self.slides, self.facts, self.pairs, faults, self.config))

    @cached_property
    def dropped_copies(self) -> dict[str, str]:
        """Copies that go -> what they are a copy of."""
        return {item.slide: item.other for item in dropping(self.copies)}


def slides_of(findings: Iterable[Finding], kind: str | None = None) -> frozenset[str]:
    """Slides that findings name, of one kind or of any."""
    return frozenset(item.slide for item in findings if kind is None or item.kind == kind)


def dropping(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings that propose to drop their slide."""
    return tuple(item for item in findings if item.proposal == "drop")


def _is_blotted(ink: InkFacts) -> bool:
    """Whether one blob lies there, large and beyond doubt; drawings have many small ones of many colours."""
    return len(ink.blobs) == 1 and ink.blobs[0].confidence >= _SURE and ink.blobs[0].area_share >= _LARGE
