"""Decisions carried out: slides dropped, relabelled, repaired and grouped."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tilewise.auditing.cohort import AuditedCohort, AuditedSlide
from tilewise.auditing.facts import SlideFacts
from tilewise.auditing.finding import Decision, Decisions, Finding, Findings
from tilewise.auditing.groups import infer_groups
from tilewise.auditing.masks import MaskFacts
from tilewise.auditing.repairs import RepairedSlide, RepairRequest, repair_slide
from tilewise.cohort import Cohort, Slide
from tilewise.execution import Failure, run_each, slide_time_limit
from tilewise.store import digest_config

MASK_SCALED = "mask scaled to the slide"
MASK_INVERTED = "mask inverted"


def apply_decisions(
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
    by_slide = _by_slide(decisions)
    audited, requests = {}, {}
    for slide in cohort.slides:
        name, own = slide.slide_id, by_slide[slide.slide_id]
        if name not in facts or any(decision.decision == "drop" for decision in own):
            continue
        audited[name] = _audit_slide(slide, facts[name], own, groups[name])
        request = _repair_request(audited[name], facts[name], own, inpaint=inpaint)
        if request is not None:
            requests[name] = request
    audited, failures = _repair(audited, requests, workers)
    return AuditedCohort(
        tuple(audited.values()),
        _classes(cohort, audited.values()),
        Findings(findings),
        Decisions(decisions),
        tuple(name for name in groups if name not in audited),
        failures,
        groups,
        notes={name: facts[name].notes for name in groups if name in facts},
        facts=facts,
    )


def _by_slide(decisions: Iterable[Decision]) -> dict[str, list[Decision]]:
    by_slide = defaultdict(list)
    for decision in decisions:
        by_slide[decision.slide].append(decision)
    return by_slide


def _classes(cohort: Cohort, audited: Iterable[AuditedSlide]) -> tuple[str, ...]:
    """Classes of the table, and those that slides were relabelled to."""
    return tuple(sorted({item.slide.label for item in audited if item.slide.label is not None} | set(cohort.classes)))


def _repair(
    audited: Mapping[str, AuditedSlide], requests: Mapping[str, RepairRequest], workers: int | None
) -> tuple[dict[str, AuditedSlide], tuple[Failure, ...]]:
    """All slides with the repaired ones in place of what they were, without those whose repair failed."""
    if not requests:
        return dict(audited), ()
    outcome = run_each(repair_slide, requests, stage="repair", workers=workers, limit_s=slide_time_limit())
    failed = {failure.item for failure in outcome.failures}
    slides = {
        name: _with_repair(item, requests[name], outcome.results[name]) if name in outcome.results else item
        for name, item in audited.items()
        if name not in failed
    }
    return slides, outcome.failures


def _audit_slide(slide: Slide, fact: SlideFacts, decisions: list[Decision], group: str) -> AuditedSlide:
    fault = _mask_fault(slide, fact, decisions)
    return AuditedSlide(
        slide=_relabel(slide, decisions),
        size=fact.size,
        mpp=fact.mpp,
        group=group,
        use_mask=not fault,
        content=fact.content if slide.declared_mpp is None else digest_config([fact.content, slide.declared_mpp]),
        pixel_digest=fact.pixel_digest,
        notes=fact.notes,
        mask_fault=fault,
    )


def _repair_request(
    item: AuditedSlide, fact: SlideFacts, decisions: list[Decision], *, inpaint: bool
) -> RepairRequest | None:
    # Where there is no ink there is nothing to take out, whoever asks for it.
    ink = bool(fact.ink.spots) and any(decision.decision == "repair" for decision in decisions)
    scaled = item.use_mask and fact.mask is not None and fact.mask.scaled
    inverted = item.use_mask and any(decision.inverts for decision in decisions)
    if not (ink or scaled or inverted):
        return None
    return RepairRequest(item.slide, item.size, item.content, ink, scaled, inverted, item.use_mask, inpaint)


def _with_repair(item: AuditedSlide, request: RepairRequest, repair: RepairedSlide) -> AuditedSlide:
    actions = []
    if request.ink:
        out_of = " of its mask alone, as the slide is large" if request.spares_slide else ""
        actions.append(f"ink taken out{out_of}, {repair.tissue_lost:.1%} of the tissue with it")
    if request.scaled:
        actions.append(MASK_SCALED)
    if request.inverted:
        actions.append(MASK_INVERTED)
    use_mask = request.has_own_mask and repair.has_mask
    fault = item.mask_fault
    if use_mask:
        fault = ""
    elif request.has_own_mask:
        fault = f"nothing of its mask is left once {'the ink is out' if request.ink else 'it is inverted'}"
    return replace(
        item,
        slide=repair.slide,
        content=digest_config([item.content, request.digest]),
        use_mask=use_mask,
        mask_fault=fault,
        repaired="; ".join(actions),
        tissue_lost=repair.tissue_lost,
        before_after=repair.before_after,
    )


def _mask_fault(slide: Slide, fact: SlideFacts, decisions: Sequence[Decision]) -> str:
    """Why the mask is not used; empty where it is."""
    if slide.mask_path is None or fact.mask is None:
        return "it has no mask"
    return _fault_after(fact.mask, [decision for decision in decisions if decision.decision == "fix-mask"])


def _fault_after(mask: MaskFacts, fixes: Sequence[Decision]) -> str:
    # Scaling the mask is the fix; to keep a mask of the wrong size means to go without.
    if mask.fault and not (mask.scaled and any(fix.finding == "mask-size" for fix in fixes)):
        return f"its mask is of no use ({mask.fault})"
    if not mask.share and not any(fix.inverts for fix in fixes):
        return "its mask is empty"
    set_aside = [fix.finding for fix in fixes if fix.finding != "mask-size" and not fix.inverts]
    if not set_aside:
        return ""
    kinds = ", ".join(sorted(filter(None, set_aside)))
    return "its mask was set aside by decision" + (f" ({kinds})" if kinds else "")


def _relabel(slide: Slide, decisions: list[Decision]) -> Slide:
    labels = [decision.value for decision in decisions if decision.decision == "relabel"]
    return replace(slide, label=labels[-1]) if labels else slide
