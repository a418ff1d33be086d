"""The audit's page: every finding with its pictures, what is proposed, what is done, and who decided."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tilewise.auditing.cohort import NO_GROUPS, AuditedCohort
from tilewise.auditing.finding import GRAVITY
from tilewise.cohort import Cohort, Slide
from tilewise.reporting import audit_summary as summary
from tilewise.reporting.audit_cards import Card, Section
from tilewise.reporting.audit_kinds import UNSEEN, looked_for
from tilewise.reporting.audit_pictures import SmallPicture, small_pictures
from tilewise.reporting.audit_sections import Sources, sections
from tilewise.reporting.describe import describe_layout
from tilewise.reporting.templates import environment, read
from tilewise.reporting.text import without_folders
from tilewise.store import write_text
from tilewise.version import __version__

_MOST_CARDS: Final = 60
_MOST_PICTURES: Final = 900
# As base64 a third more; the page has to be mailed and opened on a hospital's computer.
_MOST_BYTES: Final = 10_000_000
_NAME: Final = "report.html"
_FIRST_LINKS: Final = [
    (title, [(anchor, title, True)])
    for anchor, title in (("verdict", "Verdict"), ("act", "How to act"), ("cohort", "Cohort"))
]
_LAST_LINKS: Final = [("Limits", [("limits", "Limits", True)])]


def write_audit_report(
    out: Path,
    audited: AuditedCohort,
    *,
    cohort: Cohort,
    others: Mapping[str, Slide] | None = None,
    workers: int | None = None,
) -> Path:
    """Write the gallery of an audit into `out`; returns where. The same input gives the same bytes.

    A slide that cannot be drawn is shown as its error; no slide stops the page.

    Args:
        out: folder of the audit; `report.html` is written there.
        audited: what was found and decided.
        cohort: every slide, also those that were dropped.
        others: slides of the other cohort by the names that `in-both` findings have for them; None where there was
            no other cohort, and the page says so.
        workers: processes that draw; None takes every processor.
    """
    all_sections = sections(Sources(audited, cohort, others or {}))
    limits = zip(all_sections, _cards_per_section(all_sections), strict=True)
    page_sections = [_PageSection(section, section.cards[:limit]) for section, limit in limits]
    figures = [figure for item in page_sections for card in item.cards for figure in card.figures]
    requests = {figure.picture: figure.request for figure in figures if figure.request is not None}
    pictures = small_pictures(requests, root=str(cohort.root), workers=workers)
    page_sections = _within_budget(page_sections, pictures)
    notes = [without_folders(note, str(cohort.root)) for note in cohort.notes if not note.startswith("layout ")]
    view = {
        "title": cohort.root.name,
        "cohort_path": _path_to_type(cohort.root),
        "decisions_path": _path_to_type(out, "decisions.csv"),
        "layout": describe_layout(cohort.layout, cohort.notes),
        "notes": notes,
        "slide_notes": audited.slide_notes(),
        "style": read("report.css") + read("audit_gallery.css"),
        "version": __version__,
        "audited": audited,
        "verdict": summary.verdict(audited, cohort),
        "num_slides": len(cohort.slides),
        "num_untouched": summary.untouched(audited, cohort),
        "fates": summary.fates(audited),
        "kinds": summary.kind_rows(all_sections),
        "actions": tuple(name for name in reversed(GRAVITY) if name != "relabel"),
        "classes": summary.class_rows(audited, cohort),
        "groups": summary.groups(audited),
        "inverted_masks": audited.inverted_masks(),
        "leakage": audited.leakage().removesuffix(NO_GROUPS).strip(),
        "first": summary.look_first(all_sections),
        "menus": [*_FIRST_LINKS, *summary.menus(all_sections), *_LAST_LINKS],
        "silent": [kind for kind in looked_for(against=others is not None) if kind.name not in _names(all_sections)],
        "compared": others is not None,
        "unseen": UNSEEN,
        "by_people": _by_people(audited),
        "page_sections": page_sections,
        "pictures": pictures,
        "no_groups": " ".join(filter(None, ("" if audited.has_groups else NO_GROUPS, audited.families()))),
    }
    path = out / _NAME
    write_text(path, environment().get_template("audit_gallery.html").render(view))
    return path


def _path_to_type(folder: Path, name: str = "") -> str:
    """A path as a person types it where the audit was run; folders above that are told to nobody."""
    folder, here = folder.absolute(), Path.cwd()
    typed = folder.relative_to(here) if folder.is_relative_to(here) else Path(folder.name)
    return shlex.quote((typed / name).as_posix())


@dataclass(frozen=True)
class _PageSection:
    """A section and those of its cards that are shown with pictures."""

    section: Section
    cards: tuple[Card, ...]

    @property
    def is_double(self) -> bool:
        """Whether its cards need the room of two pictures."""
        return any(card.is_double for card in self.cards)

    @property
    def rest(self) -> tuple[Card, ...]:
        """Cards that become rows of a table."""
        return self.section.cards[len(self.cards) :]

    @property
    def num_rest(self) -> int:
        """Findings in that table."""
        return sum(len(card.entries) for card in self.rest)


def _cards_per_section(all_sections: Sequence[Section]) -> list[int]:
    """Cards per section: 60 at most, fewer where all the sections together would hold too many pictures."""
    num_cards = [len(section.cards) if section.kind.layout != "list" else 0 for section in all_sections]

    def num_pictures(cap: int) -> int:
        sizes = zip(all_sections, num_cards, strict=True)
        return sum(len(card.pictures) for section, num in sizes for card in section.cards[: min(cap, num)])

    cap = _MOST_CARDS
    while cap > 1 and num_pictures(cap) > _MOST_PICTURES:
        cap -= 1
    return [min(cap, num) for num in num_cards]


def _within_budget(page_sections: list[_PageSection], pictures: Mapping[str, SmallPicture]) -> list[_PageSection]:
    """Fewer cards in the longest sections, where the pictures turned out too heavy for one page."""
    while sum(_weight(item, pictures) for item in page_sections) > _MOST_BYTES:
        longest = max(len(item.cards) for item in page_sections)
        page_sections = [_PageSection(item.section, item.cards[: max(longest * 9 // 10, 1)]) for item in page_sections]
        if longest == 1:
            break
    return page_sections


def _weight(item: _PageSection, pictures: Mapping[str, SmallPicture]) -> int:
    return sum(len(pictures[key].data) + len(pictures[key].outline) for card in item.cards for key in card.pictures)


def _by_people(audited: AuditedCohort) -> list[dict[str, str]]:
    """Decisions of people about what the audit did not find: they stand on no card."""
    with_finding = {(finding.slide, finding.kind) for finding in audited.findings}
    return [
        {
            "slide": decision.slide,
            "finding": decision.finding,
            "decision": decision.decision,
            "value": decision.value,
            "reason": decision.reason,
            "author": decision.author,
            "time": decision.time.partition("T")[0],
        }
        for decision in audited.decisions
        if (decision.slide, decision.finding) not in with_finding
    ]


def _names(all_sections: Sequence[Section]) -> set[str]:
    return {section.kind.name for section in all_sections}
