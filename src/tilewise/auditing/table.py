"""The audit's tables: findings, and the slides that were kept."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pandas as pd

from tilewise.auditing.cohort import AuditedCohort
from tilewise.auditing.finding import Finding, Findings
from tilewise.store import read_table, write_table

FINDINGS_NAME = "findings.parquet"
_FINDINGS = "tilewise.findings"
_SLIDES = "tilewise.slides"
_VERSION = 2
_MOST_LEVELS = 10


def write_findings(path: Path, findings: Iterable[Finding]) -> None:
    """Write findings, one row each."""
    write_table(path, Findings(findings).to_frame(), schema=_FINDINGS, version=_VERSION)


def read_findings(path: Path) -> pd.DataFrame:
    """Read what `write_findings` wrote.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    return read_table(path, schema=_FINDINGS, version=_VERSION)[0]


def write_slides(path: Path, audited: AuditedCohort) -> None:
    """Write the slides that were kept.

    Columns: slide, path, mask, label, group, split, width, height, mpp, use_mask, notes, repaired, tissue_lost,
    before_after.
    """
    rows = [
        {
            "slide": item.slide_id,
            "path": str(item.slide.path.resolve()),
            "mask": str(item.slide.mask_path.resolve()) if item.slide.mask_path else None,
            "label": item.slide.label,
            "group": item.group,
            "split": item.slide.split,
            "width": item.size.width,
            "height": item.size.height,
            "mpp": item.mpp,
            "use_mask": item.use_mask,
            "notes": "; ".join(item.notes),
            "repaired": item.repaired,
            "tissue_lost": item.tissue_lost,
            "before_after": None if item.before_after is None else str(item.before_after.resolve()),
        }
        for item in audited.slides
    ]
    head = {
        "leakage": audited.leakage(),
        "inverted_masks": audited.inverted_masks(),
        "has_groups": audited.has_groups,
        "dropped": list(audited.dropped),
        **TableFacts.of(audited).to_json(),
        "notes": {slide: list(notes) for slide, notes in audited.notes.items() if notes},
    }
    write_table(path, pd.DataFrame(rows), schema=_SLIDES, version=_VERSION, metadata=head)


@dataclass(frozen=True)
class TableFacts:
    """What the cohort's table says of the slides beside the labels that are used.

    Attributes:
        relabelled: slide -> its label in the table, of those whose label was changed by decision.
        columns: further column -> slide -> value, of columns with few values; numbers are cut at their median.
    """

    relabelled: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, audited: AuditedCohort) -> Self:
        """Those of the slides that were kept."""
        names = dict.fromkeys(name for item in audited.slides for name in item.slide.extra)
        cells = {name: {item.slide_id: item.slide.extra.get(name) for item in audited.slides} for name in names}
        columns = {name: _levels(values) for name, values in cells.items()}
        return cls(audited.relabelled, {name: levels for name, levels in columns.items() if levels})

    @classmethod
    def read(cls, path: Path) -> Self:
        """From the table of slides; nothing of earlier runs, and where there is no table.

        Raises:
            ArtifactError: the table is damaged.
        """
        head = read_slides(path)[1] if path.is_file() else {}
        return cls(head.get("relabelled", {}), head.get("columns", {}))

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"relabelled": dict(self.relabelled), "columns": {name: dict(one) for name, one in self.columns.items()}}


def _levels(values: Mapping[str, Any]) -> dict[str, str]:
    """Slide -> value of a column, values in their order; nothing where they are too many, or all the same."""
    cells = {slide: str(value).strip() for slide, value in values.items() if value is not None and value == value}  # noqa: PLR0124 - nan
    cells = {slide: cell for slide, cell in cells.items() if cell}
    levels = sorted(set(cells.values()))
    if len(levels) > _MOST_LEVELS:
        try:
            numbers = {slide: float(cell) for slide, cell in cells.items()}
        except ValueError:
            return {}
        middle = statistics.median(numbers.values())
        names = (f"up to {middle:g}", f"above {middle:g}")
        cells, levels = {slide: names[number > middle] for slide, number in numbers.items()}, list(names)
    ordered = sorted(cells, key=lambda slide: levels.index(cells[slide]))
    return {slide: cells[slide] for slide in ordered} if len(set(cells.values())) > 1 else {}


def read_slides(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read what `write_slides` wrote, and its metadata.

    That is: leakage, inverted_masks, has_groups, dropped, relabelled, columns, and notes of slides.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    return read_table(path, schema=_SLIDES, version=_VERSION)
