"""From what was measured to findings: blobs to repair, pens to know of, masks that mark ink."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tilewise.auditing.finding import Finding
from tilewise.auditing.ink.facts import InkFacts, InkSpot

# A mask of which more than this is ink has nothing left to show after the ink is taken out.
_MASK_LOST = 0.9
# From here on a mask marks ink and does not merely touch it.
_MASK_WORTH = 0.02
# So large a blob, a share of the slide, is taken out wherever it lies: tissue may end under it unseen.
_LARGE = 0.003


def ink_findings(facts: Mapping[str, InkFacts]) -> Iterator[Finding]:
    """Yield `ink`, `pen` and `mask-on-ink`, at most one of each per slide.

    Args:
        facts: slide -> what `measure_ink` found.
    """
    for slide, fact in facts.items():
        if fact.blobs:
            yield _ink(slide, fact)
        if fact.mask_on_ink > _MASK_WORTH:
            yield _mask_on_ink(slide, fact)
        if fact.pens:
            yield _pen(slide, fact)


def _ink(slide: str, fact: InkFacts) -> Finding:
    harmful = [spot for spot in fact.blobs if _harms(spot)]
    spots = harmful or list(fact.blobs)
    colours = " and ".join(dict.fromkeys(spot.colour for spot in spots))
    subject = f"{colours} blob" if len(spots) == 1 else f"{len(spots)} {colours} blobs"
    tissue, mask = _sum(spots, "tissue_share"), _sum(spots, "mask_share")
    where = f"{_percent(_sum(spots, 'area_share'))} of the slide, on glass"
    if any(spot.on_tissue for spot in spots):
        where = f"{_percent(tissue)} of the tissue"
    where += f" and {_percent(mask)} of the mask" if mask else ""
    confidence = max(spot.confidence for spot in spots)
    return Finding(slide, "ink", "", "repair" if harmful else "keep", confidence, f"{subject} over {where}")


def _harms(spot: InkSpot) -> bool:
    return spot.on_tissue or spot.mask_share > _MASK_WORTH or spot.area_share > _LARGE


def _mask_on_ink(slide: str, fact: InkFacts) -> Finding:
    lost = fact.mask_on_ink > _MASK_LOST
    evidence = f"{_percent(fact.mask_on_ink)} of the mask marks ink"
    evidence += "; too little is left of it without" if lost else ""
    confidence = max(spot.confidence for spot in fact.spots if spot.mask_share > 0)
    return Finding(slide, "mask-on-ink", "", "fix-mask" if lost else "repair", confidence, evidence)


def _pen(slide: str, fact: InkFacts) -> Finding:
    colours = " and ".join(dict.fromkeys(spot.colour for spot in fact.pens))
    where = "on the glass" if not any(spot.on_tissue for spot in fact.pens) else "partly over tissue"
    evidence = f"{colours} pen over {_percent(_sum(fact.pens, 'area_share'))} of the slide, {where}; nothing to do"
    return Finding(slide, "pen", "", "keep", max(spot.confidence for spot in fact.pens), evidence)


def _sum(spots: tuple[InkSpot, ...] | list[InkSpot], name: str) -> float:
    return min(1.0, sum(float(getattr(spot, name)) for spot in spots))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.0095 else "under 1 %"
