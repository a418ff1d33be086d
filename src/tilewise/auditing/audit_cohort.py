"""Cohort in, audited cohort out: facts, checks, decisions, repairs, groups."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tilewise.auditing.apply import apply_decisions
from tilewise.auditing.checks import check_failures, find_all
from tilewise.auditing.cohort import AuditedCohort, AuditOrigin
from tilewise.auditing.config import AuditConfig
from tilewise.auditing.copies import find_pairs
from tilewise.auditing.decisions import Names, merge, propose, read_decisions, refuse_to_overwrite, write_decisions
from tilewise.auditing.evidence import CohortEvidence
from tilewise.auditing.facts import CachedFingerprints, FactsRequest, SlideFacts, digest_content, measure_facts
from tilewise.auditing.finding import Decision, Finding
from tilewise.auditing.pair_findings import cross_cohort_findings
from tilewise.auditing.repairs import RepairedSlide, copy_into
from tilewise.auditing.table import FINDINGS_NAME, write_findings, write_slides
from tilewise.cohort import Cohort, Slide
from tilewise.errors import ArgumentError, CohortError
from tilewise.execution import Failure, run_each, slide_time_limit
from tilewise.store import edited_files, is_as_written, keep_edited, record_written

_DECISIONS = "decisions.csv"
_AUDIT_AGAIN = "audit the cohort again"
_SAME_SCALE = 0.01
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AuditOptions:
    """What an audit needs beside cohort and config; no part of a recipe.

    Attributes:
        out: folder for the tables and repaired slides; None writes nothing there.
        decisions: a decisions table that a person edited; its rows win over proposals.
        against: another cohort, whose slides must not stand in this one.
        drop: whether proposals to drop are followed. Where every slide must be predicted, they are not.
        may_be_empty: whether the audit may leave no slide, as where all are copies of another cohort's.
        workers: processes; None takes every processor.
    """

    out: Path | None = None
    decisions: Path | None = None
    against: Cohort | None = None
    drop: bool = True
    may_be_empty: bool = False
    workers: int | None = None


def audit_cohort(cohort: Cohort, config: AuditConfig, options: AuditOptions | None = None) -> AuditedCohort:
    """Measure every slide once and decide what each is good for; nothing in the cohort's folder is changed.

    Raises:
        CohortError: the decisions have faults, or no slide is left.
        UsageError: the cache cannot be written to, or `out` holds decisions of a person that would be lost.
    """
    options = options or AuditOptions()
    slides = {slide.slide_id: slide for slide in cohort.slides}
    names = Names.of(cohort)
    # Before the long work, and before anything is written.
    edited = _read_edited(options, names)
    # A slide that a person dropped still tells which others belong together; that it cannot be read is no failure.
    dropped = {decision.slide for decision in edited if decision.decision == "drop"}
    facts, checked, failures = _examine(slides, config, options)
    failures = tuple(failure for failure in failures if failure.item not in dropped)
    findings = tuple(sorted([*check_failures(failures), *checked]))
    decisions = merge(_follow(propose(findings), options), edited)
    if options.out is not None:
        # Written before anything is refused: a person may want to edit the decisions and come back.
        _write_findings(options.out, findings, decisions)
    audited = apply_decisions(cohort, facts, findings, decisions, inpaint=config.inpaint, workers=options.workers)
    contents = {name: fact.content for name, fact in facts.items()}
    origin = AuditOrigin(cohort, config, options.decisions, edited, options.against, options.out, contents)
    audited = replace(audited, failures=(*failures, *audited.failures), origin=origin)
    if not audited.slides and not (options.may_be_empty and facts):
        raise CohortError(_nothing_left(cohort, findings, options))
    return audited if options.out is None else _write_slides(options.out, audited)


def write_audit(out: Path, audited: AuditedCohort) -> AuditedCohort:
    """Write `findings.parquet`, `decisions.csv`, `slides.parquet` and `repaired/`.

    Returns:
        The same cohort, its repaired slides read from `repaired/`.

    Raises:
        UsageError: `decisions.csv` is there and holds decisions of a person that would be lost.
    """
    refuse_to_overwrite(out / _DECISIONS, Names(audited.groups, audited.classes), audited.decisions)
    _write_findings(out, audited.findings, audited.decisions)
    return _write_slides(out, audited)


def require_current(audited: AuditedCohort) -> AuditOrigin:
    """What an audit was made from, if slides, masks and decisions still are what they were then.

    Raises:
        ArgumentError: one of them has changed, or the slides were not put together by an audit; names it.
        CohortError: the decisions have faults by now.
    """
    origin = audited.origin
    if origin is None:
        raise ArgumentError("cohort: these slides were not put together by `audit`; give what it returns")
    if not audited.slides:
        raise CohortError(_nothing_left(origin.cohort, tuple(audited.findings), AuditOptions(out=origin.out)))
    for slide in origin.cohort.slides:
        if slide.slide_id in origin.contents and digest_content(slide) != origin.contents[slide.slide_id]:
            raise ArgumentError(f"{slide.slide_id}: slide or mask has changed since the audit; {_AUDIT_AGAIN}")
    if origin.decisions is not None and read_decisions(origin.decisions, Names.of(origin.cohort)) != origin.edited:
        raise ArgumentError(f"{origin.decisions} was edited since the audit; {_AUDIT_AGAIN}")
    edited = [item.slide.path for item in audited.slides if item.repaired and not item.slide.path.is_file()]
    if origin.out is not None:
        table = origin.out / _DECISIONS
        if table.is_file() and not is_as_written(table):
            raise ArgumentError(f"{table} was edited since the audit; {_AUDIT_AGAIN} with decisions={str(table)!r}")
        edited += edited_files(origin.out / "repaired")
    if edited:
        raise ArgumentError(f"{edited[0]} was changed or removed since the audit; {_AUDIT_AGAIN}")
    return origin


def _read_edited(options: AuditOptions, names: Names) -> tuple[Decision, ...]:
    edited = read_decisions(options.decisions, names) if options.decisions is not None else ()
    if options.out is not None:
        refuse_to_overwrite(options.out / _DECISIONS, names, edited)
    return edited


def _write_findings(out: Path, findings: tuple[Finding, ...], decisions: tuple[Decision, ...]) -> None:
    write_findings(out / FINDINGS_NAME, findings)
    write_decisions(out / _DECISIONS, decisions)


def _write_slides(out: Path, audited: AuditedCohort) -> AuditedCohort:
    """Write `slides.parquet` and `repaired/`."""
    slides, used, folder = [], set[Path](), out / "repaired"
    for path in edited_files(folder):
        keep_edited(path)
    for item in audited.slides:
        if item.repaired:
            cached = RepairedSlide(item.slide, item.use_mask, item.tissue_lost, item.before_after)
            copy = copy_into(folder, cached, used)
            item = replace(item, slide=copy.slide, before_after=copy.before_after)  # noqa: PLW2901 - the same slide
        slides.append(item)
    if used:
        record_written(folder, (path for path in used if path.is_file()))
    audited = replace(audited, slides=tuple(slides))
    write_slides(out / "slides.parquet", audited)
    return audited


def _examine(
    slides: Mapping[str, Slide], config: AuditConfig, options: AuditOptions
) -> tuple[dict[str, SlideFacts], list[Finding], tuple[Failure, ...]]:
    """The facts that outlast the checks, what these found, and the slides that could not be read."""
    facts, fingerprints, failures = _measure(slides, config, options)
    findings = _find(slides, facts, fingerprints, config, options)
    # Half of what is known of a slide, and nothing but a check asks for it.
    without_embedding = {
        name: replace(fact, histology=replace(fact.histology, embedding=())) for name, fact in facts.items()
    }
    return without_embedding, findings, failures


def _measure(
    slides: Mapping[str, Slide], config: AuditConfig, options: AuditOptions
) -> tuple[dict[str, SlideFacts], CachedFingerprints, tuple[Failure, ...]]:
    max_pixels = config.max_megapixels * 1_000_000
    requests = {name: FactsRequest(slide, max_pixels) for name, slide in slides.items()}
    outcome = run_each(measure_facts, requests, stage="audit", workers=options.workers, limit_s=slide_time_limit())
    facts = {name: _with_declared_scale(one.facts, slides[name]) for name, one in outcome.results.items()}
    return facts, CachedFingerprints(outcome.results, requests), outcome.failures


def _with_declared_scale(facts: SlideFacts, slide: Slide) -> SlideFacts:
    """With the table's scale where the file has none; what the file says holds, and a difference is noted."""
    declared = slide.declared_mpp
    if declared is None or (facts.mpp is not None and abs(declared / facts.mpp - 1) <= _SAME_SCALE):
        return facts
    if facts.mpp is None:
        note = f"scale of {declared:g} microns a pixel declared by the table"
    else:
        note = f"the table declares {declared:g} microns a pixel, the file says {facts.mpp:g}, which were taken"
    return replace(facts, mpp=facts.mpp or declared, notes=(*facts.notes, note))


def _find(
    slides: Mapping[str, Slide],
    facts: Mapping[str, SlideFacts],
    fingerprints: CachedFingerprints,
    config: AuditConfig,
    options: AuditOptions,
) -> list[Finding]:
    findings = list(find_all(CohortEvidence(slides, facts, find_pairs(fingerprints), config)))
    if options.against is not None:
        others, against, failures = _measure(
            {slide.slide_id: slide for slide in options.against.slides}, config, options
        )
        if failures:
            names = ", ".join(failure.item for failure in failures[:5]) + (" ..." if len(failures) > 5 else "")
            _log.warning(
                "%d slide(s) of %s cannot be read, so nobody knows whether they stand in this cohort too: %s; replace "
                "their files and audit again", len(failures), options.against.root, names,
            )  # fmt: skip
        findings += cross_cohort_findings(find_pairs(fingerprints, against=against), facts, others, config)
    return findings


def _follow(decisions: tuple[Decision, ...], options: AuditOptions) -> tuple[Decision, ...]:
    if options.drop:
        return decisions
    return tuple(replace(item, decision="keep") if item.decision == "drop" else item for item in decisions)


def _nothing_left(cohort: Cohort, findings: tuple[Finding, ...], options: AuditOptions) -> str:
    first = f"{findings[0].slide}: {findings[0].evidence}" if findings else "every slide was dropped by decision"
    if not options.drop:
        return f"{cohort.root}: not one slide can be used, the first: {first}. Put the files right and run again"
    edit = (
        f"; `tilewise audit {cohort.root} --out audit` writes a decisions.csv to edit"
        if options.out is None
        else f", or edit {options.out / 'decisions.csv'} and give it with --decisions"
    )
    return (
        f"{cohort.root}: no slide is left after the audit; {len(findings)} findings, the first: {first}. "
        f"Put the slides right{edit}"
    )
