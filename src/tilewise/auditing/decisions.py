"""`decisions.csv`: what is done about each finding, for a person to read, edit and give back."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Collection, Iterable, Sequence
from dataclasses import astuple, fields, replace
from pathlib import Path
from typing import get_args

from tilewise.auditing.decision_log import digest_log, is_log, read_log
from tilewise.auditing.finding import COPIES, GRAVITY, INVERT, KINDS, TWIN_HERE, Action, Decision, Finding
from tilewise.cohort import Cohort
from tilewise.cohort.csv_lines import read_csv_lines
from tilewise.cohort.identifiers import same_name, slides_named, typed_alike
from tilewise.cohort.missing import DECLARED_NAME
from tilewise.errors import CohortError, UsageError
from tilewise.store import digest_file, is_as_written, write_editable

_OWN_AUTHOR = "tilewise"
_MOST_LISTED = 20
_COLUMNS = tuple(field.name for field in fields(Decision))


def propose(findings: Iterable[Finding]) -> tuple[Decision, ...]:
    """One decision per slide and kind of finding, as proposed; of several of one kind the gravest."""
    gravest: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        before = gravest.setdefault((finding.slide, finding.kind), finding)
        if GRAVITY[finding.proposal] > GRAVITY[before.proposal]:
            gravest[finding.slide, finding.kind] = finding
    return tuple(
        Decision(
            finding.slide, finding.kind, finding.proposed, finding.proposal, finding.value, reason=finding.evidence
        )
        for finding in gravest.values()
    )


def write_decisions(path: Path, decisions: Iterable[Decision]) -> None:
    """Write the table; a person edits its `decision` and `value` columns. What somebody edited there is kept beside."""
    write_editable(path, decisions_csv(decisions))


def decisions_csv(decisions: Iterable[Decision]) -> str:
    """The table as text."""
    buffer = io.StringIO()
    rows = csv.writer(buffer, lineterminator="\n")
    rows.writerow(_COLUMNS)
    rows.writerows(astuple(decision) for decision in decisions)
    return buffer.getvalue()


def digest_decisions(path: Path) -> str:
    """Digest of a table's bytes, or of what a log of decisions holds.

    Raises:
        OSError: it cannot be read.
        CohortError: it is no such log.
    """
    return digest_log(path) if is_log(path) else digest_file(path)


def read_decisions(path: Path, names: Names) -> tuple[Decision, ...]:
    """Read what a person decided: in a table, in any usual encoding and with any usual delimiter, or in a log.

    Rows that nobody edited are left out: what the audit proposed it proposes again, from the slides as they are now.

    Args:
        path: of the table, or of the log that `tilewise serve` keeps.
        names: slides and classes that rows may name.

    Raises:
        CohortError: the file is missing or is no such table, or a row names an unknown slide, decision or class, `keep`
            of an unknown finding, `relabel` without a value or `fix-mask` with an unknown one, or two rows disagree;
            every such row is listed.
    """
    lines = _log_lines(path) if is_log(path) else read_csv_lines(path).lines
    columns = _columns(path, lines[0][1] if lines else [])
    faults: list[str] = []
    decisions: list[Decision] = []
    first: dict[tuple[str, ...], tuple[int, Decision]] = {}
    for number, cells in lines[1:]:
        try:
            decision = _parse_row(columns, cells, names)
        except _Fault as fault:
            faults.append(f"line {number}: {fault}")
            continue
        if not is_edited(decision):
            continue
        before, other = first.setdefault(_subject(decision), (number, decision))
        if (other.decision, other.value) == (decision.decision, decision.value):
            decisions.append(decision)
        else:
            faults.append(f"line {number}: {decision.slide}: line {before} decides otherwise; keep the right one")
    if faults:
        more = f"\n  ... and {len(faults) - _MOST_LISTED} more" if len(faults) > _MOST_LISTED else ""
        raise CohortError(f"{path}: correct these rows:\n  " + "\n  ".join(faults[:_MOST_LISTED]) + more)
    return tuple(decisions)


def _log_lines(path: Path) -> list[tuple[int, list[str]]]:
    rows = [list(_COLUMNS), *(list(astuple(decision)) for decision in read_log(path))]
    return list(enumerate(rows, start=1))


def _columns(path: Path, cells: Sequence[str]) -> list[str]:
    """Names of the columns; spreadsheets add spaces, capitals and empty columns."""
    columns = [same_name(cell).lower() for cell in cells]
    while columns and not columns[-1]:
        columns.pop()
    missing = [name for name in ("slide", "decision") if name not in columns]
    if missing:
        raise CohortError(
            f"{path}: no column {' or '.join(map(repr, missing))}, its first line is {','.join(columns)!r}; "
            f"give a table with the columns {','.join(_COLUMNS)}, as an audit writes it"
        )
    return columns


class _Fault(Exception):
    """What is wrong with a row."""


def _parse_row(columns: Sequence[str], values: Sequence[str], names: Names) -> Decision:
    if any(value.strip() for value in values[len(columns) :]):
        raise _Fault(f"{len(values)} cells, but {len(columns)} columns; quote cells that hold the delimiter")
    row = dict(zip(columns, values, strict=False))
    cells = {name: same_name(row.get(name, "")) for name in _COLUMNS}
    cells["slide"] = slide = names.slide(row.get("slide", ""))
    action = cells["decision"] = cells["decision"].lower()
    if action not in get_args(Action):
        raise _Fault(f"{slide}: decision {action!r} is none of {', '.join(get_args(Action))}")
    if action == "relabel":
        if not cells["value"]:
            raise _Fault(f"{slide}: relabel needs the new label in `value`")
        cells["value"] = names.label(slide, cells["value"])
    if action == "fix-mask":
        value = cells["value"] = cells["value"].lower()
        if value not in {"", INVERT}:
            raise _Fault(
                f"{slide}: the value of fix-mask is {value!r}; write {INVERT} to use the mask the other way round, or "
                "leave it empty to go without it"
            )
    if action == "keep":
        _check_kind(slide, cells["finding"])
    return Decision(**cells)  # type: ignore[arg-type]


def _check_kind(slide: str, kind: str) -> None:
    if kind not in {"", *KINDS} and "." not in kind:
        near = difflib.get_close_matches(kind, KINDS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ", or leave it empty to overrule all of them"
        raise _Fault(f"{slide}: no finding is called {kind!r}{hint}")


def _subject(decision: Decision) -> tuple[str, ...]:
    """What only one decision can be about: a finding of a slide, or its label."""
    if decision.decision == "relabel":
        return decision.slide, "", "relabel"
    return (decision.slide, decision.finding) if decision.finding else (decision.slide, "", decision.decision)


class Names:
    """Slides and classes that decisions may name.

    Args:
        slides: ids, as the cohort spells them.
        classes: labels of the cohort, and those it declares; without any, every label is taken.
    """

    def __init__(self, slides: Iterable[str], classes: Iterable[str]) -> None:
        self._slides = dict.fromkeys(slides)
        self._classes = dict.fromkeys(classes)

    @classmethod
    def of(cls, cohort: Cohort) -> Names:
        """Of a cohort."""
        return cls((slide.slide_id for slide in cohort.slides), (*cohort.classes, *cohort.declared))

    def slide(self, cell: str) -> str:
        """The id that a cell means: as it stands, without regard to what cannot be seen, or by its file's name."""
        if cell in self._slides:
            return cell
        alike = slides_named(cell, self._slides)
        if len(alike) == 1:
            return alike[0]
        if alike:
            raise _Fault(f"slide {cell!r} may be {' or '.join(map(repr, alike))}; spell it as the cohort does")
        raise _Fault(f"no slide {same_name(cell)!r} in the cohort{_nearest(cell, self._slides)}")

    def label(self, slide: str, cell: str) -> str:
        """The class that a cell means."""
        alike = [name for name in self._classes if same_name(name) == cell]
        if alike or not self._classes:
            return alike[0] if alike else cell
        near = [name for name in self._classes if typed_alike(name) == typed_alike(cell)]
        hint = f"; did you mean {near[0]!r}?" if near else _nearest(cell, self._classes)
        raise _Fault(
            f"{slide}: relabel to {cell!r}, which is no class of the cohort ({', '.join(self._classes)}){hint}; a new "
            f"class is declared by a line in a file {DECLARED_NAME} beside the table"
        )


def _nearest(cell: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(cell, list(names), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def is_edited(decision: Decision) -> bool:
    """Whether a person had a hand in it: another decision than was proposed, a value, or a name of their own."""
    own = decision.author not in {"", _OWN_AUTHOR}
    proposal, _, value = decision.proposal.partition(": ")
    return own or (decision.decision, decision.value) != (proposal, value)


def merge(proposed: Iterable[Decision], edited: Iterable[Decision]) -> tuple[Decision, ...]:
    """Decisions of a person replace the proposed ones of the same slide and finding; others are added.

    `keep` without a finding overrules everything that is proposed about the slide. What was proposed about the ink of
    a slide only because it is a copy falls back to a repair where a person keeps the copy.
    """
    edited = tuple(edited)
    keeps = [decision for decision in edited if decision.decision == "keep"]
    whole_slides = {decision.slide: decision for decision in keeps if not decision.finding}
    copies = {decision.slide for decision in keeps if decision.finding in COPIES}
    merged: dict[tuple[str, ...], Decision] = {}
    for decision in proposed:
        merged[decision.slide, decision.finding] = _overruled(decision, whole_slides.get(decision.slide), copies)
    for decision in edited:
        key = (decision.finding,) if decision.finding else ("", decision.decision)
        merged[decision.slide, *key] = decision
    return tuple(merged.values())


def _overruled(decision: Decision, keep: Decision | None, copies: Collection[str]) -> Decision:
    """A proposed decision after a person kept its slide, `keep`, or kept slides although they are copies."""
    if keep is not None:
        return replace(decision, decision="keep", author=keep.author, time=keep.time)
    if decision.slide in copies and TWIN_HERE in decision.reason:
        return replace(decision, decision="repair")
    return decision


def refuse_to_overwrite(path: Path, names: Names, decisions: Iterable[Decision]) -> None:
    """Make sure that writing `path` loses nothing that a person decided there.

    Raises:
        CohortError: somebody edited the table, and it cannot be read.
        UsageError: the table holds decisions of a person that are not among `decisions`.
    """
    if not path.is_file() or is_as_written(path):
        return
    try:
        before = read_decisions(path, names)
    except CohortError as error:
        raise CohortError(
            f"{error}\nThe file was not written over; correct it, move it, or choose another --out"
        ) from error
    known = {(item.slide, item.finding, item.decision, item.value) for item in decisions}
    lost = [item for item in before if (item.slide, item.finding, item.decision, item.value) not in known]
    if lost:
        raise UsageError(
            f"{path} holds decisions that a person edited ({lost[0].slide}: {lost[0].decision}); give them with "
            f"--decisions {path}, or choose another --out"
        )
