"""The audited cohort: the only thing that tiles are cut from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tilewise.auditing.config import AuditConfig
from tilewise.auditing.facts import SlideFacts
from tilewise.auditing.finding import GRAVITY, Decision, Decisions, Findings
from tilewise.auditing.name_families import family_sentence
from tilewise.auditing.notes import NoteKind, note_kinds
from tilewise.cohort import Cohort, Slide
from tilewise.execution import Failure
from tilewise.store import digest_config
from tilewise.units import Size
from tilewise.wording import count

NO_GROUPS = (
    "No patient or group column: every slide counts as its own patient. If one patient has several slides, the "
    "score is too high and its interval too narrow; add a `group` column."
)

_TWINS = frozenset({"exact-copy", "near-copy", "shared-mask"})


@dataclass(frozen=True)
class AuditedSlide:
    """A slide that an audit keeps.

    Attributes:
        slide: as the table has it, relabelled where that was decided; of a repaired slide, the repaired files.
        size: of level 0.
        mpp: microns per pixel; None where unknown.
        group: slides of one group are never split.
        use_mask: whether its mask is of use; where not, `mask_fault` says why.
        content: digest of the bytes of slide and mask, and of what was repaired.
        pixel_digest: of the slide's pixels before any repair.
        notes: what was handled on the way to pixels.
        mask_fault: in words; empty where the mask is used.
        repaired: what was repaired, in words; empty where nothing was.
        tissue_lost: share of its tissue that went with the ink.
        before_after: picture of the repair; None where there is none.
        has_pixels: whether its file is a picture; not where features of another program stand for it.
    """

    slide: Slide
    size: Size
    mpp: float | None
    group: str
    use_mask: bool
    content: str
    pixel_digest: str
    notes: tuple[str, ...]
    mask_fault: str = ""
    repaired: str = ""
    tissue_lost: float = 0.0
    before_after: Path | None = None
    has_pixels: bool = True

    @property
    def slide_id(self) -> str:
        """The table's own spelling."""
        return self.slide.slide_id


@dataclass(frozen=True)
class AuditOrigin:
    """What an audit was made from, so that later stages need not make it again.

    Attributes:
        cohort: that was audited.
        config: the recipe's `audit` section.
        decisions: the decisions.csv that a person edited; None where there was none.
        edited: what it said.
        against: the other cohort that slides were compared with; None where there was none.
        out: folder that its tables and repaired slides were written to; None where they were not.
        contents: slide -> digest of the bytes of slide and mask, of every slide that could be read.
    """

    cohort: Cohort
    config: AuditConfig
    decisions: Path | None
    edited: tuple[Decision, ...]
    against: Cohort | None
    out: Path | None
    contents: Mapping[str, str]

    @property
    def others(self) -> dict[str, Slide] | None:
        """Slides of the other cohort by id; None where there was none."""
        return None if self.against is None else {slide.slide_id: slide for slide in self.against.slides}


@dataclass(frozen=True)
class AuditedCohort:
    """Slides that were kept, in the cohort's order, with all findings and decisions.

    Attributes:
        slides: that were kept.
        classes: of the table, and of slides that were relabelled.
        findings: about all slides.
        decisions: one per slide and kind of finding.
        dropped: slides that are not among `slides`.
        failures: slides that could not be read or repaired.
        groups: slide -> group, the dropped slides too.
        notes: slide -> what was handled on the way to its pixels, of every slide that could be read.
        origin: what the audit was made from; None where slides were put together otherwise.
        facts: slide -> what was measured, of every slide that could be read, without its embedding; of repaired ones
            before the repair.
    """

    slides: tuple[AuditedSlide, ...]
    classes: tuple[str, ...]
    findings: Findings
    decisions: Decisions
    dropped: tuple[str, ...]
    failures: tuple[Failure, ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    origin: AuditOrigin | None = field(default=None, compare=False)
    facts: Mapping[str, SlideFacts] = field(default_factory=dict, compare=False, repr=False)

    @property
    def relabelled(self) -> dict[str, str]:
        """Slide -> the label that the table has, of kept slides whose label was changed by decision."""
        cohort = () if self.origin is None else self.origin.cohort.slides
        before = {slide.slide_id: slide.label for slide in cohort if slide.label is not None}
        now = {item.slide_id: item.slide.label for item in self.slides}
        return {name: label for name, label in before.items() if name in now and now[name] != label}

    def __repr__(self) -> str:
        num_all = len(self.slides) + len(self.dropped)
        findings = count(len(self.findings), "finding")
        return f"<AuditedCohort: {len(self.slides)} of {count(num_all, 'slide')} kept, {findings}>"

    def _repr_html_(self) -> str:
        """What was kept and noticed, and thumbnails of the slides that are not kept as they are, for notebooks."""
        from tilewise.auditing.notebook import audited_html

        sentences = filter(None, (self.inverted_masks(), self.leakage()))
        cohort = None if self.origin is None else self.origin.cohort
        return audited_html(
            "a cohort" if cohort is None else cohort.root.name,
            self._class_rows(() if cohort is None else cohort.slides),
            self.decisions,
            self.actions(),
            sentences,
            {} if cohort is None else {slide.slide_id: slide for slide in cohort.slides},
        )

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
        actions = {item.slide_id: "keep" for item in self.slides} | dict.fromkeys(self.dropped, "drop")
        for decision in self.decisions:
            before = actions[decision.slide]
            actions[decision.slide] = max(before, decision.decision, key=lambda action: GRAVITY[action])
        return actions

    def slide_notes(self) -> tuple[NoteKind, ...]:
        """What was taken for what in the slides' files, by kind."""
        return note_kinds(self.notes)

    @property
    def has_groups(self) -> bool:
        """Whether the table says which slides belong together (to one patient, say)."""
        return any(item.slide.group is not None for item in self.slides)

    def inverted_masks(self) -> str:
        """One sentence where most of the masks are the wrong way round; empty where they are not."""
        masked = {item.slide_id for item in self.slides if item.slide.mask_path is not None}
        inverted = [item for item in self.decisions if item.finding == "mask-inverted" and item.slide in masked]
        if len(inverted) < 2 or 2 * len(inverted) <= len(masked):
            return ""
        num_used = sum(item.inverts for item in inverted)
        usage = "they are used inverted" if num_used == len(inverted) else f"{num_used} of these are used inverted"
        return (
            f"{len(inverted)} of {len(masked)} masks are the wrong way round: they mark the glass and leave out the "
            f"region (white background?); {usage}. Where they are meant as they are, write `keep` into decisions.csv."
        )

    def leakage(self) -> str:
        """What would have leaked between parts had slides been split one by one, and what still might."""
        if not self.slides:
            return ""
        sentences = [self._shared_groups(), self._dropped_twins(), "" if self.has_groups else NO_GROUPS]
        return " ".join(sentence for sentence in sentences if sentence)

    def families(self) -> str:
        """What names say of patients that the table does not name; empty where they say nothing."""
        names = (item.group if self.has_groups else item.slide_id for item in self.slides)
        return family_sentence(names, are_groups=self.has_groups)

    def _class_rows(self, slides: Iterable[Slide]) -> Iterator[tuple[str | None, int, int, int, int, int]]:
        """Class, slides as they were found, kept, repaired, groups and masks used."""
        totals = Counter(slide.label for slide in slides)
        for label in sorted({*self.classes, *totals}, key=lambda label: (label is None, str(label))):
            items = [item for item in self.slides if item.slide.label == label]
            num_repaired, num_masks = sum(bool(item.repaired) for item in items), sum(item.use_mask for item in items)
            yield label, totals[label], len(items), num_repaired, len({item.group for item in items}), num_masks

    def _shared_groups(self) -> str:
        sizes = Counter(item.group for item in self.slides)
        shared = [size for size in sizes.values() if size > 1]
        if shared:
            return (
                f"{sum(shared)} of {len(self.slides)} slides share a group with another one ({len(shared)} such "
                f"group{'s' * (len(shared) > 1)}); folds drawn slide by slide would have put members of one group on "
                "both sides."
            )
        if self.has_groups:
            return "Every slide has a group of its own."
        return "No two of the slides that were kept are copies of each other, share a mask or are neighbours."

    def _dropped_twins(self) -> str:
        num = len({item.slide for item in self.findings if item.kind in _TWINS} & set(self.dropped))
        if num == 0:
            return ""
        return (
            f"{num} dropped slide{'s' * (num > 1)} show{'s' * (num == 1)} what another one shows, or "
            f"wear{'s' * (num == 1)} its mask; kept and split one by one, both would have stood on both sides."
        )
