"""Decisions carried out: slides dropped, relabelled, repaired and grouped."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from tilewise.auditing.cohort import AuditedCohort, AuditedSlide
from tilewise.auditing.facts import SlideFacts
from tilewise.auditing.finding import Decision, Finding
from tilewise.auditing.groups import infer_groups
from tilewise.auditing.repairs import RepairedSlide, RepairRequest, repair_slide
from tilewise.cohort import Cohort, Slide
from tilewise.execution import run_each
from tilewise.store import digest_config

MASK_SCALED = "mask scaled to the slide"
MASK_INVERTED = "mask inverted"


def apply(
    cohort: Cohort,
    facts: Mapping[str, SlideFacts],
    findings: tuple[Finding, ...],
    decisions: tuple[Decision, ...],
    *,
    inpaint: bool,
    workers: int | None,
) -> AuditedCohort:
    """Carry out decisions.

    Args:
        cohort: as it was found.
        facts: of the slides that could be read.
        findings: about them.
        decisions: what is done about each.
        inpaint: show tissue painted in under ink that is taken out.
        workers: processes; None takes every processor.

    Raises:
        UsageError: the cache, where repaired slides go, cannot be written to.
    """
    groups = infer_groups({slide.slide_id: slide for slide in cohort.slides}, findings)
    by_slide: dict[str, list[Decision]] = defaultdict(list)
    for decision in decisions:
        by_slide[decision.slide].append(decision)
    kept, requests = {}, {}
    for slide in cohort.slides:
        name = slide.slide_id
        if name not in facts or any(decision.decision == "drop" for decision in by_slide[name]):
            continue
        kept[name] = _audited(slide, facts[name], by_slide[name], groups[name])
        request = _to_repair(kept[name], facts[name], by_slide[name], inpaint=inpaint)
        if request is not None:
            requests[name] = request
    outcome = run_each(repair_slide, requests, stage="repair", workers=workers) if requests else None
    for name, repaired_slides in (outcome.results if outcome else {}).items():
        kept[name] = _repaired(kept[name], requests[name], repaired_slides)
    failed = {failure.item for failure in outcome.failures} if outcome else set()
    slides = tuple(item for name, item in kept.items() if name not in failed)
    classes = {item.slide.label for item in slides if item.slide.label is not None} | set(cohort.classes)
    left = {item.slide_id for item in slides}
    dropped = tuple(slide.slide_id for slide in cohort.slides if slide.slide_id not in left)
    return AuditedCohort(
        slides,
        tuple(sorted(classes)),
        findings,
        decisions,
        dropped,
        outcome.failures if outcome else (),
        groups,
        notes={slide.slide_id: facts[slide.slide_id].notes for slide in cohort.slides if slide.slide_id in facts},
    )


def _audited(slide: Slide, fact: SlideFacts, decisions: list[Decision], group: str) -> AuditedSlide:
    fault = _mask_fault(slide, fact, decisions)
    return AuditedSlide(
        slide=_relabelled(slide, decisions),
        size=fact.size,
        mpp=fact.mpp,
        group=group,
        use_mask=not fault,
        content=fact.content,
        pixel_digest=fact.pixel_digest,
        notes=fact.notes,
        mask_fault=fault,
    )


def _to_repair(
    item: AuditedSlide, fact: SlideFacts, decisions: list[Decision], *, inpaint: bool
) -> RepairRequest | None:
    # Where there is no ink there is nothing to take out, whoever asks for it.
    ink = bool(fact.ink.spots) and any(decision.decision == "repair" for decision in decisions)
    scaled = item.use_mask and fact.mask is not None and fact.mask.scaled
    inverted = item.use_mask and any(decision.inverts for decision in decisions)
    if not (ink or scaled or inverted):
        return None
    return RepairRequest(item.slide, item.size, item.content, ink, scaled, inverted, item.use_mask, inpaint)


def _repaired(item: AuditedSlide, request: RepairRequest, repaired_slides: RepairedSlide) -> AuditedSlide:
    what = []
    if request.ink:
        what.append(f"ink taken out, {repaired_slides.tissue_lost:.1%} of the tissue with it")
    if request.scaled:
        what.append(MASK_SCALED)
    if request.inverted:
        what.append(MASK_INVERTED)
    use_mask = item.use_mask and repaired_slides.mask_left
    fault = item.mask_fault
    if item.use_mask and not use_mask:
        fault = f"nothing of its mask is left once {'the ink is out' if request.ink else 'it is inverted'}"
    return replace(
        item,
        slide=repaired_slides.slide,
        content=digest_config([item.content, request.digest]),
        use_mask=use_mask,
        mask_fault=fault,
        repaired="; ".join(what),
        tissue_lost=repaired_slides.tissue_lost,
        before_after=repaired_slides.before_after,
    )


def _mask_fault(slide: Slide, fact: SlideFacts, decisions: list[Decision]) -> str:
    """Why the mask is not used; empty where it is."""
    mask = fact.mask
    if slide.mask_path is None or mask is None:
        return "it has no mask"
    actions = {decision.finding: decision.decision for decision in decisions}
    inverts = any(decision.inverts for decision in decisions)
    # Scaling the mask is the fix; to keep a mask of the wrong size means to go without.
    if mask.fault and not (mask.scaled and actions.get("mask-size") == "fix-mask"):
        return f"its mask is of no use ({mask.fault})"
    if not mask.share and not inverts:
        return "its mask is empty"
    set_aside = any(
        decision.decision == "fix-mask" and decision.finding != "mask-size" and not decision.inverts
        for decision in decisions
    )
    return "its mask was set aside by decision" if set_aside else ""


def _relabelled(slide: Slide, decisions: list[Decision]) -> Slide:
    labels = [decision.value for decision in decisions if decision.decision == "relabel"]
    return replace(slide, label=labels[-1]) if labels else slide
