"""`decisions.csv`: what is done about each finding, for a person to read, edit and give back."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Container, Iterable
from dataclasses import astuple, fields, replace
from pathlib import Path
from typing import get_args

from tilewise.audit.finding import COPIES, GRAVITY, KINDS, TWIN_HERE, Action, Decision, Finding
from tilewise.errors import CohortError, UsageError
from tilewise.store import write_text

_OWN_AUTHOR = "tilewise"
_COLUMNS = tuple(field.name for field in fields(Decision))


def propose(findings: Iterable[Finding]) -> tuple[Decision, ...]:
    """One decision per slide and kind of finding, as proposed; of several of one kind the gravest."""
    gravest: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        before = gravest.setdefault((finding.slide, finding.kind), finding)
        if GRAVITY[finding.proposal] > GRAVITY[before.proposal]:
            gravest[finding.slide, finding.kind] = finding
    return tuple(
        Decision(finding.slide, finding.kind, finding.proposal, finding.proposal, reason=finding.evidence)
        for finding in gravest.values()
    )


def write_decisions(path: Path, decisions: Iterable[Decision]) -> None:
    """Write the table; a person edits its `decision` and `value` columns."""
    buffer = io.StringIO()
    rows = csv.writer(buffer, lineterminator="\n")
    rows.writerow(_COLUMNS)
    rows.writerows(astuple(decision) for decision in decisions)
    write_text(path, buffer.getvalue())


def read_decisions(path: Path, slides: Container[str]) -> tuple[Decision, ...]:
    """Read what a person decided in a table of decisions.

    Rows that nobody edited are left out: what the audit proposed it proposes again, from the slides as they are now.

    Raises:
        CohortError: the file is missing or is no such table, or a row names an unknown slide, an unknown decision,
            `keep` of an unknown finding, or `relabel` without a value; every such row is listed.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            table = csv.DictReader(stream)
            # Spreadsheets add spaces and capitals.
            given = table.fieldnames or ()
            columns = [name.strip().lower() for name in given]
            rows = [{column: row[name] for column, name in zip(columns, given, strict=True)} for row in table]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CohortError(f"{path}: cannot read decisions ({error}); give the decisions.csv of an audit") from error
    missing = [name for name in ("slide", "decision") if name not in columns]
    if missing:
        raise CohortError(
            f"{path}: no column {' or '.join(map(repr, missing))}, its first line is {','.join(given)!r}; "
            f"give a table with commas and the columns {','.join(_COLUMNS)}"
        )
    faults = []
    decisions = []
    for number, row in enumerate(rows, start=2):
        row = {name: (cell or "").strip() for name, cell in row.items()}  # noqa: PLW2901 - the same row
        slide, action = row.get("slide", ""), row.get("decision", "").lower()
        if slide not in slides:
            faults.append(f"line {number}: no slide {slide!r} in the cohort")
        elif action not in get_args(Action):
            faults.append(f"line {number}: {slide}: decision {action!r} is none of {', '.join(get_args(Action))}")
        elif action == "relabel" and not row.get("value"):
            faults.append(f"line {number}: {slide}: relabel needs the new label in `value`")
        elif action == "keep" and row.get("finding", "") not in {"", *KINDS}:
            near = difflib.get_close_matches(row["finding"], KINDS, n=1)
            hint = f"; did you mean {near[0]}?" if near else ", or leave it empty to overrule all of them"
            faults.append(f"line {number}: {slide}: no finding is called {row['finding']!r}{hint}")
        else:
            cells = {name: row.get(name, "") for name in _COLUMNS} | {"decision": action}
            decision = Decision(**cells)  # type: ignore[arg-type]
            if is_edited(decision):
                decisions.append(decision)
    if faults:
        raise CohortError(f"{path}: correct these rows:\n  " + "\n  ".join(faults[:20]))
    return tuple(decisions)


def is_edited(decision: Decision) -> bool:
    """Whether a person had a hand in it: another decision than was proposed, a value, or a name of their own."""
    own = decision.author not in {"", _OWN_AUTHOR}
    return own or decision.decision != decision.proposal or bool(decision.value)


def merge(proposed: Iterable[Decision], given: Iterable[Decision]) -> tuple[Decision, ...]:
    """Given decisions replace the proposed ones of the same slide and finding; others are added.

    `keep` without a finding overrules everything that is proposed about the slide. What was proposed about the ink of
    a slide only because it is a copy falls back to a repair where a person keeps the copy.
    """
    given = tuple(given)
    kept = {decision.slide: decision for decision in given if decision.decision == "keep" and not decision.finding}
    as_copies = {decision.slide for decision in given if decision.decision == "keep" and decision.finding in COPIES}
    merged: dict[tuple[str, ...], Decision] = {}
    for decision in proposed:
        if decision.slide in kept:
            person = kept[decision.slide]
            decision = replace(decision, decision="keep", author=person.author, time=person.time)  # noqa: PLW2901
        elif decision.slide in as_copies and TWIN_HERE in decision.reason:
            decision = replace(decision, decision="repair")  # noqa: PLW2901
        merged[decision.slide, decision.finding] = decision
    for decision in given:
        if decision.finding:
            merged[decision.slide, decision.finding] = decision
        elif decision.slide not in kept or decision.decision != "keep":
            merged[decision.slide, "", decision.decision] = decision
    return tuple(merged.values())


def refuse_to_overwrite(path: Path, slides: Container[str], taken: Iterable[Decision]) -> None:
    """Make sure that writing `path` loses nothing that a person wrote there.

    Raises:
        UsageError: the table holds decisions of a person that are not among `taken`.
    """
    if not path.is_file():
        return
    try:
        before = read_decisions(path, slides)
    except CohortError:
        return  # no table of ours, or of other slides
    known = {(item.slide, item.finding, item.decision, item.value) for item in taken}
    lost = [
        item for item in before
        if (item.slide, item.finding, item.decision, item.value) not in known
        and not (item.decision == "keep" and not item.finding)
    ]  # fmt: skip
    if lost:
        raise UsageError(
            f"{path} holds decisions that a person edited ({lost[0].slide}: {lost[0].decision}); give them with "
            f"--decisions {path}, or choose another --out"
        )
