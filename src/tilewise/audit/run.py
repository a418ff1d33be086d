"""Cohort in, audited cohort out: facts, checks, decisions, groups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tilewise.audit import checks
from tilewise.audit.cohort import AuditedCohort, AuditedSlide
from tilewise.audit.config import AuditConfig
from tilewise.audit.decisions import merge, propose, read_decisions, write_decisions
from tilewise.audit.facts import FactsRequest, SlideFacts, look
from tilewise.audit.finding import Decision, Finding
from tilewise.audit.groups import infer_groups
from tilewise.audit.table import write_findings, write_slides
from tilewise.cohort import Cohort, Slide
from tilewise.errors import CohortError
from tilewise.execution import run_each


def run(
    cohort: Cohort, config: AuditConfig, *, out: Path | None, decisions: Path | None = None, workers: int | None = None
) -> AuditedCohort:
    """Look at every slide once and decide what each is good for.

    Args:
        cohort: what was discovered; nothing in its folder is changed.
        config: what to look for.
        out: where `findings.parquet` and `decisions.csv` go; None writes nothing.
        decisions: a decisions table that a person edited; its rows win over proposals.
        workers: processes; None takes every processor.

    Raises:
        CohortError: `decisions` has faults, or no slide is left.
    """
    slides = {slide.slide_id: slide for slide in cohort.slides}
    given = read_decisions(decisions, slides) if decisions is not None else ()
    # A slide that a person dropped is not looked at: an unreadable file is no failure any more.
    gone = {decision.slide for decision in given if decision.decision == "drop"}
    max_pixels = config.max_megapixels * 1_000_000
    requests = {name: FactsRequest(slide, max_pixels) for name, slide in slides.items() if name not in gone}
    outcome = run_each(look, requests, stage="audit", workers=workers)
    facts = outcome.results
    findings = tuple(
        sorted(
            [
                *checks.unreadable(outcome.failures),
                *checks.masks(slides, facts),
                *checks.copies(slides, facts, config),
                *checks.shared_masks(slides, facts),
                *checks.labels(slides),
            ]
        )
    )
    taken = merge(propose(findings), given)
    if out is not None:
        # Written before anything is refused: a person may want to edit the decisions and come back.
        write_findings(out / "findings.parquet", findings)
        write_decisions(out / "decisions.csv", taken)
    audited = replace(_apply(cohort, facts, findings, taken), failures=outcome.failures)
    if not audited.slides:
        first = f"{findings[0].slide}: {findings[0].evidence}" if findings else "every slide was dropped by decision"
        edit = (
            f"; `tilewise audit {cohort.root} --out audit` writes a decisions.csv to edit"
            if out is None
            else f", or edit {out / 'decisions.csv'} and give it with --decisions"
        )
        raise CohortError(
            f"{cohort.root}: no slide is left after the audit; {len(findings)} findings, the first: {first}. "
            f"Put the slides right{edit}"
        )
    if out is not None:
        write_slides(out / "slides.parquet", audited)
    return audited


def write(out: Path, audited: AuditedCohort) -> None:
    """Write `findings.parquet`, `decisions.csv` and `slides.parquet`."""
    write_findings(out / "findings.parquet", audited.findings)
    write_decisions(out / "decisions.csv", audited.decisions)
    write_slides(out / "slides.parquet", audited)


def _apply(
    cohort: Cohort, facts: Mapping[str, SlideFacts], findings: tuple[Finding, ...], decisions: tuple[Decision, ...]
) -> AuditedCohort:
    groups = infer_groups({slide.slide_id: slide for slide in cohort.slides}, findings)
    by_slide: dict[str, list[Decision]] = defaultdict(list)
    for decision in decisions:
        by_slide[decision.slide].append(decision)
    kept, dropped = [], []
    for slide in cohort.slides:
        name = slide.slide_id
        actions = {decision.decision for decision in by_slide[name]}
        if name not in facts or "drop" in actions:
            dropped.append(name)
            continue
        fact = facts[name]
        fault = _mask_fault(slide, fact, set_aside="fix-mask" in actions)
        kept.append(
            AuditedSlide(
                slide=_relabelled(slide, by_slide[name]),
                size=fact.size,
                mpp=fact.mpp,
                group=groups[name],
                use_mask=not fault,
                content=fact.content,
                pixel_digest=fact.pixel_digest,
                notes=fact.notes,
                mask_fault=fault,
            )
        )
    classes = tuple(sorted({item.slide.label for item in kept if item.slide.label is not None} | set(cohort.classes)))
    return AuditedCohort(tuple(kept), classes, findings, decisions, tuple(dropped))


def _mask_fault(slide: Slide, fact: SlideFacts, *, set_aside: bool) -> str:
    """Why the mask is not used; empty where it is."""
    if slide.mask_path is None:
        return "it has no mask"
    if fact.mask_fault is not None:
        return f"its mask is of no use ({fact.mask_fault})"
    if not fact.mask_share:
        return "its mask is empty"
    return "its mask was set aside by decision" if set_aside else ""


def _relabelled(slide: Slide, decisions: list[Decision]) -> Slide:
    labels = [decision.value for decision in decisions if decision.decision == "relabel"]
    return replace(slide, label=labels[-1]) if labels else slide
