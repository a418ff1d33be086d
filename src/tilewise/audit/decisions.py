"""`decisions.csv`: what is done about each finding, for a person to read, edit and give back."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import astuple, fields
from pathlib import Path
from typing import get_args

from tilewise.audit.finding import Action, Decision, Finding
from tilewise.cohort import Slide
from tilewise.errors import CohortError
from tilewise.store import write_text

_COLUMNS = tuple(field.name for field in fields(Decision))


def propose(findings: Iterable[Finding]) -> tuple[Decision, ...]:
    """One decision per finding, as proposed."""
    return tuple(
        Decision(finding.slide, finding.kind, finding.proposal, finding.proposal, reason=finding.evidence)
        for finding in findings
    )


def write_decisions(path: Path, decisions: Iterable[Decision]) -> None:
    """Write the table; a person edits its `decision` and `value` columns."""
    buffer = io.StringIO()
    rows = csv.writer(buffer, lineterminator="\n")
    rows.writerow(_COLUMNS)
    rows.writerows(astuple(decision) for decision in decisions)
    write_text(path, buffer.getvalue())


def read_decisions(path: Path, slides: Mapping[str, Slide]) -> tuple[Decision, ...]:
    """Read a table that a person may have edited.

    Raises:
        CohortError: the file is missing or is no such table, or a row names an unknown slide, an unknown decision, or
            `relabel` without a value; every such row is listed.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            table = csv.DictReader(stream)
            columns, rows = table.fieldnames or (), list(table)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CohortError(f"{path}: cannot read decisions ({error}); give the decisions.csv of an audit") from error
    missing = [name for name in ("slide", "decision") if name not in columns]
    if missing:
        raise CohortError(
            f"{path}: no column {' or '.join(map(repr, missing))}, its first line is {','.join(map(str, columns))!r}; "
            f"give a table with commas and the columns {','.join(_COLUMNS)}"
        )
    faults = []
    decisions = []
    for number, row in enumerate(rows, start=2):
        slide, action = row.get("slide") or "", (row.get("decision") or "").strip()
        if slide not in slides:
            faults.append(f"line {number}: no slide {slide!r} in the cohort")
        elif action not in get_args(Action):
            faults.append(f"line {number}: {slide}: decision {action!r} is none of {', '.join(get_args(Action))}")
        elif action == "relabel" and not (row.get("value") or "").strip():
            faults.append(f"line {number}: {slide}: relabel needs the new label in `value`")
        else:
            cells = {name: row.get(name) or "" for name in _COLUMNS}
            cells |= {"decision": action, "value": cells["value"].strip()}
            decisions.append(Decision(**cells))  # type: ignore[arg-type]
    if faults:
        raise CohortError(f"{path}: correct these rows:\n  " + "\n  ".join(faults[:20]))
    return tuple(decisions)


def merge(proposed: Iterable[Decision], given: Iterable[Decision]) -> tuple[Decision, ...]:
    """Given decisions replace the proposed ones of the same slide and finding; others are added."""
    merged = {(decision.slide, decision.finding): decision for decision in proposed}
    merged.update({(decision.slide, decision.finding): decision for decision in given})
    return tuple(merged.values())
