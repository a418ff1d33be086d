"""All checks in order: evidence in, findings out.

A check is a function from the cohort's evidence to findings. A new one goes into a file of its own and into `CHECKS`,
and its kinds of findings into `finding.KINDS`. Those of plugins are run where the recipe names them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final

from tilewise.auditing.evidence import CohortEvidence
from tilewise.auditing.finding import GRAVITY, INVERT, TWIN_HERE, Finding
from tilewise.auditing.groups import infer_groups
from tilewise.auditing.labels import label_conflict_findings, missing_label_findings, name_family_findings
from tilewise.auditing.magnification import magnification_findings
from tilewise.auditing.masks import mask_findings
from tilewise.auditing.pair_findings import section_findings
from tilewise.auditing.reading import left_out_findings, unused_bits
from tilewise.errors import PluginError
from tilewise.execution import Failure
from tilewise.plugins import find_plugin

Check = Callable[[CohortEvidence], Iterable[Finding]]


def find_all(evidence: CohortEvidence) -> tuple[Finding, ...]:
    """Every finding about slides that could be read, in the order of slides and kinds."""
    findings = [finding for check in CHECKS for finding in check(evidence)]
    findings += [finding for name in evidence.config.checks for finding in plugin_findings(name, evidence)]
    # Groups follow from findings, so that their labels are checked last.
    findings += label_conflict_findings(evidence.slides, infer_groups(evidence.slides, findings))
    return tuple(sorted(findings))


def plugin_findings(name: str, evidence: CohortEvidence) -> Iterator[Finding]:
    """What a plugin's check finds, held to its name and to slides of the cohort.

    Raises:
        PluginError: it fails, or gives anything else.
    """
    plugin = find_plugin("tilewise.audit_checks", name)
    check: Check = plugin.load()
    try:
        findings = list(check(evidence))
    except Exception as error:
        raise PluginError(f"{plugin} failed: {error!r}") from error
    for finding in findings:
        if not isinstance(finding, Finding) or finding.kind != name or finding.slide not in evidence.slides:
            raise PluginError(f"{plugin} gives {finding!r}; expected a Finding of kind {name} about a slide")
        if finding.proposal not in GRAVITY:
            raise PluginError(f"{plugin} proposes {finding.proposal!r}; expected one of {', '.join(GRAVITY)}")
        fault = _fault(finding, evidence)
        if fault:
            raise PluginError(f"{plugin} gives {finding!r}; {fault}")
        yield finding


def _fault(finding: Finding, evidence: CohortEvidence) -> str:
    """What is wrong with a finding of a slide and a proposal that there are; empty where nothing is."""
    if finding.other not in ("", *evidence.slides):
        return "`other` is neither empty nor a slide"
    if not isinstance(finding.confidence, float) or not 0 <= finding.confidence <= 1:
        return "`confidence` is no float from 0 to 1"
    if not all(isinstance(text, str) for text in (finding.evidence, finding.value)):
        return "`evidence` and `value` are not both text"
    if finding.proposal == "relabel":
        classes = sorted({slide.label for slide in evidence.slides.values() if slide.label})
        return "" if finding.value in classes else f"`value` is no class of the cohort: {', '.join(classes)}"
    if finding.proposal == "fix-mask" and finding.value not in ("", INVERT):
        return f"the `value` of fix-mask is empty or {INVERT}"
    return ""


def check_failures(failures: Iterable[Failure]) -> Iterator[Finding]:
    """Slides whose file could not be read, or holds more pixels than may be decoded at once."""
    for failure in failures:
        kind = "too-large" if failure.error == "SlideTooLarge" else "unreadable"
        yield Finding(failure.item, kind, "", "drop", 1.0, failure.message)


def check_masks(evidence: CohortEvidence) -> Iterator[Finding]:
    """Masks that are missing or of no use. Where no tissue can be seen, no mask lies on it."""
    masks, shares = evidence.each(lambda fact: fact.mask), evidence.each(lambda fact: fact.tissue_share)
    for finding in mask_findings(evidence.slides, masks, shares):
        if finding.kind != "mask-outside-tissue" or finding.slide not in evidence.without_tissue:
            yield finding


def check_histology(evidence: CohortEvidence) -> Iterator[Finding]:
    """Drawings and the like, and slides of another stain."""
    findings = (*evidence.not_histology, *evidence.other_stain)
    return _as_chosen(findings, evidence.config.not_histology)


def check_ink(evidence: CohortEvidence) -> Iterator[Finding]:
    """Ink, which is not repaired where the slide goes as a copy."""
    config, dropped = evidence.config, evidence.dropped_copies
    for finding in evidence.ink:
        if finding.proposal == "keep":
            yield finding
        elif finding.slide in dropped:
            original = dropped[finding.slide]
            is_clean = original not in dropped and original not in evidence.single_faults.inked
            reason = f"{TWIN_HERE} {original} is here" if is_clean else "the slide goes as a copy"
            yield replace(finding, proposal="drop", evidence=f"{finding.evidence}; {reason}, so it is not repaired")
        elif config.ink == "keep" or (config.ink == "drop" and finding.kind == "ink"):
            yield replace(finding, proposal=config.ink)
        else:
            yield finding


def check_quality(evidence: CohortEvidence) -> Iterator[Finding]:
    """Light, focus and amount of tissue, and unused bits where they explain the light; no drawing is in focus."""
    findings = [item for item in evidence.quality if item.kind != "blurred" or item.slide not in evidence.drawings]
    samples = evidence.each(lambda fact: fact.samples)
    return _as_chosen(unused_bits(findings, samples), evidence.config.quality)


def check_damage(evidence: CohortEvidence) -> Iterator[Finding]:
    """Slides that a decoder read in part only."""
    return _as_chosen(evidence.damage, evidence.config.quality)


def check_reading(evidence: CohortEvidence) -> Iterator[Finding]:
    """Image data that was not read."""
    return left_out_findings(evidence.each(lambda fact: fact.notes))


def check_copies(evidence: CohortEvidence) -> Iterable[Finding]:
    """Copies of other slides."""
    return evidence.copies


def check_sections(evidence: CohortEvidence) -> Iterator[Finding]:
    """Neighbouring sections."""
    return section_findings(evidence.pairs)


def check_shared_masks(evidence: CohortEvidence) -> Iterator[Finding]:
    """Different slides with one mask."""
    return _as_chosen(evidence.shared_masks, evidence.config.not_histology)


def check_magnification(evidence: CohortEvidence) -> Iterator[Finding]:
    """Slides of another scale than most."""
    return magnification_findings(evidence.each(lambda fact: fact.mpp))


def check_labels(evidence: CohortEvidence) -> Iterator[Finding]:
    """Slides without a label."""
    return missing_label_findings(evidence.slides)


def check_names(evidence: CohortEvidence) -> Iterator[Finding]:
    """Names that belong together."""
    return name_family_findings(evidence.slides)


CHECKS: Final[tuple[Check, ...]] = (
    check_masks,
    check_histology,
    check_ink,
    check_quality,
    check_damage,
    check_reading,
    check_copies,
    check_sections,
    check_shared_masks,
    check_magnification,
    check_labels,
    check_names,
)
"""Every check of slides that could be read."""


def _as_chosen(findings: Iterable[Finding], choice: str) -> Iterator[Finding]:
    """Findings whose slides are kept where the recipe says so."""
    return (replace(item, proposal="keep") if choice == "keep" else item for item in findings)
