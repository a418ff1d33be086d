"""The audit's tables: findings, and the slides that were kept."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from tilewise.auditing.cohort import AuditedCohort
from tilewise.auditing.finding import Finding, Findings
from tilewise.store import read_table, write_table

FINDINGS_NAME = "findings.parquet"
_FINDINGS = "tilewise.findings"
_SLIDES = "tilewise.slides"
_VERSION = 2


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
        "relabelled": audited.relabelled,
        "notes": {slide: list(notes) for slide, notes in audited.notes.items() if notes},
    }
    write_table(path, pd.DataFrame(rows), schema=_SLIDES, version=_VERSION, metadata=head)


def read_relabelled(path: Path) -> dict[str, str]:
    """Slide -> its label in the cohort's table, of those whose label was changed by decision; none of earlier runs.

    Raises:
        ArtifactError: the table is damaged.
    """
    return dict(read_slides(path)[1].get("relabelled", {})) if path.is_file() else {}


def read_slides(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read what `write_slides` wrote, and its metadata.

    That is: leakage, inverted_masks, has_groups, dropped, relabelled, and notes of slides.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    return read_table(path, schema=_SLIDES, version=_VERSION)
