"""Is what lies in the tissue's outline stained tissue, and which stain?

Evidence of different kinds is added up. Each kind starts to count beyond what real sections show (nine public sets of
haematoxylin and eosin, blurred, dark, bright, recompressed and inked as well) and follows from how tissue and stain are
made, not from how drawings look: detail without gaps, few plain areas, colours that two dyes can mix. From twenty
slides on, distance from the rest of the cohort counts too, but only where the slide also leans towards a drawing, for a
blurred slide is far from the rest as well.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tilewise.auditing.finding import Action, Finding
from tilewise.auditing.histology.detail import Detail
from tilewise.auditing.histology.distance import LEANS, distances, ramp
from tilewise.auditing.histology.facts import HistologyFacts

# Sums of evidence from which a slide is proposed for dropping, or at least named.
_CLEAR, _BORDERLINE = 0.9, 0.6
# A drawing in many paints has ink's colours in the midst of its tissue, and evidence of its own against it.
_LITTLE, _NO_PAINT = 0.3, 0.02
_STEEPNESS: Final = 6.0
_ENOUGH_CELLS = 8


@dataclass(frozen=True)
class Evidence:
    """One reason to doubt that a slide shows stained tissue; `weight` 1 is enough to propose dropping it."""

    weight: float
    words: str


def histology_score(facts: HistologyFacts) -> float:
    """How surely a slide shows stained tissue, from its own pixels alone: 0 surely not, 1 surely, 0.5 no telling.

    Of two slides with the same mask the lower one is the fake.
    """
    if facts.colour is None or facts.detail is None:
        return 0.5
    # Below all thresholds two slides still differ in how even their detail is and how pure their colours are.
    uneven = 2.0 - _evenness(facts.detail) - min(facts.detail.evenness)
    slight = 0.1 * uneven + 0.1 * facts.colour.off_plane + facts.colour.across + 0.2 * facts.detail.common
    slight += 0.3 * facts.colour.grey
    return _confidence_of_tissue(sum(item.weight for item in own_evidence(facts)) + slight)


def not_histology(facts: Mapping[str, HistologyFacts], inked: Collection[str] = ()) -> Iterator[Finding]:
    """Name slides whose tissue is none: drawings, photographs, screenshots, charts.

    Clear cases are proposed for dropping, borderline ones kept and named. Yields at most one finding a slide.

    Args:
        facts: slide -> what its tissue looks like.
        inked: slides with ink of one colour on their tissue, which alone may put them far from the rest.
    """
    far = _far_off(facts)
    for name in sorted(facts):
        evidence = own_evidence(facts[name])
        own = sum(item.weight for item in evidence)
        explained = name in inked and own < _LITTLE and facts[name].ink < _NO_PAINT
        if name in far and not explained:
            evidence.append(far[name])
        total = sum(item.weight for item in evidence)
        if total < _BORDERLINE:
            continue
        words = "; ".join(item.words for item in sorted(evidence, key=lambda item: -item.weight) if item.weight > 0.1)
        sure = round(1.0 - _confidence_of_tissue(total), 3)
        proposal: Action = "drop" if total >= _CLEAR else "keep"
        yield Finding(name, "not-histology", "", proposal, sure, f"this is hardly stained tissue: {words}")


def own_evidence(facts: HistologyFacts) -> list[Evidence]:
    """What a slide's own pixels say against its being stained tissue."""
    colour, detail = facts.colour, facts.detail
    if colour is None or detail is None:
        return []
    evenness = _evenness(detail)
    sparse = 1.0 - ramp(evenness, 0.25, 0.45)
    bare = 1.0 - ramp(min(detail.evenness), 0.20, 0.42)
    hidden = 1.0 - ramp(evenness, 0.55, 0.75)
    flat = max(ramp(detail.flat, 0.20, 0.45), 0.7 * ramp(detail.flat, 0.03, 0.20) * hidden)
    straight = ramp(detail.coherence, 0.70, 0.85) * (1.0 - ramp(evenness, 0.60, 0.75)) * bare
    evidence = [
        Evidence(
            1.2 * max(sparse, 0.9 * bare),
            f"its detail lies on few edges with plain areas between (evenness {evenness:.2f}; tissue has 0.5 to 1)",
        ),
        Evidence(1.2 * flat, f"{percent(detail.flat)} of it is perfectly flat"),
        Evidence(0.5 * straight, f"its edges are long and smooth (coherence {detail.coherence:.2f})"),
        Evidence(
            1.2 * ramp(colour.across, 0.055, 0.10),
            f"its colours are no mixture of two dyes (spread {colour.across:.3f} across the stain plane; "
            "tissue has less than 0.05)",
        ),
        Evidence(
            0.6 * ramp(colour.off_plane, 0.45, 0.80),
            f"{percent(colour.off_plane)} of it has colours that haematoxylin and eosin do not mix to",
        ),
        Evidence(0.9 * ramp(colour.grey, 0.55, 0.95), f"{percent(colour.grey)} of it is grey"),
    ]
    # A few cells, most of them at an edge, are a small sample.
    sample = min(1.0, facts.num_cells / _ENOUGH_CELLS)
    return [Evidence(sample * item.weight, item.words) for item in evidence if item.weight > 0.0]


def _far_off(facts: Mapping[str, HistologyFacts]) -> dict[str, Evidence]:
    """How far slides lie from the cohort, where they also lean towards a drawing."""
    known, start = distances(facts)
    evidence = {}
    for name, far, (bare, odd) in known:
        # Ink, too, has colours that no dye has, so these alone must put a slide farther off.
        by_detail = ramp(far, start, 1.35 * start) * ramp(bare, 0.5 * LEANS, LEANS)
        by_colour = ramp(far, 1.35 * start, 1.8 * start) * ramp(odd, 0.5 * LEANS, LEANS)
        weight = 1.3 * max(by_detail, by_colour)
        if weight > 0.0:
            words = f"it lies {far:.1f} times as far from the rest of the {len(known)} slides as they from each other"
            evidence[name] = Evidence(weight, words)
    return evidence


def _evenness(detail: Detail) -> float:
    return (sum(detail.evenness) + min(detail.band_evenness, 1.0)) / 4.0


def _confidence_of_tissue(evidence: float) -> float:
    return 1.0 / (1.0 + math.exp(_STEEPNESS * (evidence - 0.7)))


def percent(share: float) -> str:
    """A share in words."""
    return f"{100.0 * share:.0f} %"
