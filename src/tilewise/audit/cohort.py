"""The audited cohort: the only thing that tiles are cut from."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tilewise.audit.finding import Decision, Finding
from tilewise.cohort import Slide
from tilewise.execution import Failure
from tilewise.store import digest_config
from tilewise.units import Size

NO_GROUPS = (
    "The table has no group column: every slide counts as its own patient. If one patient has several slides, the "
    "score is too high and its interval too narrow; add a `group` column."
)


@dataclass(frozen=True)
class AuditedSlide:
    """A slide that was looked at and kept. Where `use_mask` is False, `mask_fault` says why."""

    slide: Slide
    size: Size
    mpp: float | None
    group: str
    use_mask: bool
    content: str
    pixel_digest: str
    notes: tuple[str, ...]
    mask_fault: str = ""

    @property
    def slide_id(self) -> str:
        """The table's own spelling."""
        return self.slide.slide_id


@dataclass(frozen=True)
class AuditedCohort:
    """Slides that were kept, in the cohort's order, with everything that was found and decided."""

    slides: tuple[AuditedSlide, ...]
    classes: tuple[str, ...]
    findings: tuple[Finding, ...]
    decisions: tuple[Decision, ...]
    dropped: tuple[str, ...]
    failures: tuple[Failure, ...] = ()

    @property
    def digest(self) -> str:
        """What the next stages depend on: which slides, their bytes, labels, groups and masks."""
        return digest_config(
            [
                [item.slide_id, item.content, item.slide.label, item.slide.split, item.group, item.use_mask]
                for item in self.slides
            ]
        )

    def actions(self) -> dict[str, str]:
        """Slide -> what is done with it: the gravest of its decisions, `keep` without any."""
        gravity = {"keep": 0, "fix-mask": 1, "relabel": 2, "drop": 3}
        actions = {item.slide_id: "keep" for item in self.slides} | dict.fromkeys(self.dropped, "drop")
        for decision in self.decisions:
            before = actions[decision.slide]
            actions[decision.slide] = max(before, decision.decision, key=lambda action: gravity[action])
        return actions

    def groups(self) -> dict[str, str]:
        """Slide -> group, for the slides that were kept."""
        return {item.slide_id: item.group for item in self.slides}

    @property
    def has_groups(self) -> bool:
        """Whether the table says which slides belong together (to one patient, say)."""
        return any(item.slide.group is not None for item in self.slides)

    def leakage(self) -> str:
        """What would have leaked between parts had slides been split one by one, and what still might."""
        sizes = Counter(item.group for item in self.slides)
        shared = [size for size in sizes.values() if size > 1]
        if shared:
            said = (
                f"{sum(shared)} of {len(self.slides)} slides share a group with another one ({len(shared)} groups); "
                "folds drawn slide by slide would have put members of one group on both sides."
            )
        elif self.has_groups:
            said = "Every slide has a group of its own."
        else:
            said = "No two of the slides that were kept are copies of each other or share a mask."
        return said if self.has_groups else f"{said} {NO_GROUPS}"
