"""Read a table of slides: CSV as people's programs write it, or Parquet; identifiers in one spelling."""

from __future__ import annotations

import difflib
import math
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from tilewise.cohort.csv_lines import read_csv_lines
from tilewise.cohort.faults import Faults
from tilewise.cohort.identifiers import Spellings, identifier, same_name
from tilewise.errors import CohortError

TABLE_SUFFIXES: Final = (".csv", ".tsv", ".txt", ".parquet")
_SLIDE_NAMES: Final = ("slide", "sample_index", "file", "filename", "image", "path", "slide_id")
GROUP_NAMES: Final = ("group", "patient", "patient_id", "case", "case_id", "subject", "subject_id", "donor", "block")
_ROLES: Final[Mapping[str, Sequence[str]]] = {
    "slide": _SLIDE_NAMES,
    "label": ("label",),
    "mask": ("mask",),
    "group": GROUP_NAMES,
    "split": ("split",),
}


Key = Literal["slide", "patient", "slide or patient"]


@dataclass(frozen=True)
class Row:
    """One row; empty cells are None. `line` is the file's line (CSV) or the row from 1 (Parquet).

    `slide` and `mask` are as the table spells them; label, group and split are read by `identifiers`. In a table of
    patients `slide` is the patient.
    """

    line: int
    slide: str
    label: str | None
    mask: str | None
    group: str | None
    split: str | None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """A table whose columns have been given their roles.

    Attributes:
        path: of the file.
        rows: in the file's order, identical repetitions left out.
        roles: role -> the column's name in the file.
        notes: what was taken for what.
        warnings: identifiers that the table spells in several ways.
    """

    path: Path
    rows: tuple[Row, ...]
    roles: Mapping[str, str]
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    @property
    def of_patients(self) -> bool:
        """Whether its rows are patients."""
        return self.roles["slide"].casefold() in GROUP_NAMES


@dataclass(frozen=True)
class _Raw:
    columns: list[str]
    records: list[tuple[int, list[Any]]]
    notes: list[str]


def read_table(
    path: Path, *, need_label: bool, faults: Faults, label_column: str | None = None, key: Key = "slide"
) -> Table:
    """Read a table and find out which column is what.

    Args:
        path: a CSV (any of the usual delimiters and encodings), Parquet or Excel file (.xlsx).
        need_label: whether a table without a column of labels is at fault.
        faults: where faults of single rows go.
        label_column: with the labels; None takes `label`, or of patients the only column beside them.
        key: what a row is; of `slide or patient` a patient where no column names slides.

    Raises:
        CohortError: the file cannot be read as a table, has no rows, or lacks a column it needs.
    """
    try:
        raw = {".parquet": _read_parquet, ".xlsx": _read_xlsx}.get(path.suffix.lower(), _read_csv)(path, faults)
    except OSError as error:
        raise CohortError(
            f"{path}: cannot be read ({error.strerror or error}); check the path and its rights"
        ) from error
    roles = _labelled(path, raw.columns, _roles(path, raw.columns, key), label_column)
    kind = "patient" if roles["slide"].casefold() in GROUP_NAMES else "slide"
    if need_label and "label" not in roles:
        option = "" if key == "slide" else ", or name it with --label-column"
        raise CohortError(f"{path}: column `label` is missing; the first line has {', '.join(raw.columns)}. "
                          f"{_hint('label', raw.columns)}{option}")  # fmt: skip
    notes = _role_notes(path, raw.columns, roles, kind)
    if not raw.records:
        raise CohortError(f"{path}: the table has no rows below its column names; add one row per slide")
    rows, warnings = _in_one_spelling(list(_rows(raw, roles, faults, kind)), roles, notes)
    rows = _without_repetitions(rows, notes, faults, kind)
    return Table(path, tuple(rows), roles, (*raw.notes, *notes), tuple(warnings))


def _read_csv(path: Path, faults: Faults) -> _Raw:
    file = read_csv_lines(path)
    lines, remarks = file.lines, file.remarks
    if not lines:
        raise CohortError(f"{path}: the table is empty; write `sample_index,label` and one row per slide")
    columns = [same_name(name) for name in lines[0][1]]
    while columns and not columns[-1]:
        columns.pop()
    rows = []
    for line, cells in lines[1:]:
        beyond = [cell for cell in cells[len(columns) :] if cell.strip()]
        if beyond or len(cells) < len(columns):
            text = f"line {line}: {len(cells)} fields, but {len(columns)} column names; correct the line"
            faults.add("fields", text)
        else:
            rows.append((line, cells[: len(columns)]))
    if not rows:
        faults.raise_if_any(path)
    return _Raw(columns, rows, [f"{path.name}: {', '.join(remarks)}"] if remarks else [])


def _read_parquet(path: Path, faults: Faults) -> _Raw:  # noqa: ARG001 - as the reader of CSV
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        columns = [identifier(str(name)) for name in table.column_names]
        lists = [table.column(index).to_pylist() for index in range(table.num_columns)]
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise CohortError(f"{path}: cannot be read as Parquet ({error}); write it again or give a CSV") from error
    return _Raw(columns, [(line, list(cells)) for line, cells in enumerate(zip(*lists, strict=True), start=1)], [])


def _read_xlsx(path: Path, faults: Faults) -> _Raw:  # noqa: ARG001
    """The first sheet, every cell as text."""
    import pandas as pd

    try:
        # With a header pandas would rename a column that occurs twice.
        sheet = pd.read_excel(path, header=None, dtype=str, keep_default_na=False, na_values=[""])
    except ImportError as error:
        raise CohortError(
            f"{path}: reading it needs openpyxl (pip install openpyxl); or save the sheet as CSV (UTF-8) and give that"
        ) from error
    except (ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CohortError(
            f"{path}: cannot be read as a spreadsheet ({error}); save the sheet as CSV (UTF-8)"
        ) from error
    (_, names), *records = [(line, list(cells)) for line, cells in enumerate(sheet.to_numpy(), 1)] or [(1, [])]
    columns = [f"column {place}" if _is_empty(name) else same_name(name) for place, name in enumerate(names, 1)]
    return _Raw(columns, [(line, cells) for line, cells in records if not all(map(_is_empty, cells))], [])


def _is_empty(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def _roles(path: Path, columns: Sequence[str], key: Key) -> dict[str, str]:
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise CohortError(f"{path}: column `{twice[0]}` occurs twice; rename or delete one")
    plain = {name.casefold(): name for name in reversed(columns)}
    roles: dict[str, str] = {}
    for role, names in _ROLES.items():
        column = next((plain[name] for name in names if name in plain), None)
        if column is not None:
            roles[role] = column
    if "group" in roles and (key == "patient" or (key == "slide or patient" and "slide" not in roles)):
        roles["slide"] = roles.pop("group")
        others = [name for name in columns if name != roles["slide"]]
        if "label" not in roles and len(others) == 1:
            roles["label"] = others[0]
    elif key == "patient":
        raise CohortError(f"{path}: no column names the patients; call it PATIENT. It has {', '.join(columns)}")
    if "slide" not in roles:
        raise CohortError(
            f"{path}: no column names the slides; it may be called {', '.join(_SLIDE_NAMES)}, but the first line has "
            f"{', '.join(columns)}. {_hint('slide', columns)}"
        )
    return roles


def _labelled(path: Path, columns: Sequence[str], roles: dict[str, str], name: str | None) -> dict[str, str]:
    """The roles with a column as the labels, which then has no other."""
    if name is None:
        return roles
    if name in {roles["slide"], roles.get("group")} and name.casefold() != "group":
        raise CohortError(f"{path}: --label-column {name}: it names slides or patients; give the column of labels")
    if name in columns:
        return {role: column for role, column in roles.items() if column != name} | {"label": name}
    close = difflib.get_close_matches(name, columns, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(columns)}"
    raise CohortError(f"{path}: --label-column {name}: no such column; {hint}")


def _role_notes(path: Path, columns: Sequence[str], roles: Mapping[str, str], kind: str) -> list[str]:
    names = {kind: roles["slide"], **{role: name for role, name in roles.items() if role != "slide"}}
    spelled = [f"`{name}`" if name == role else f"`{name}` as {role}" for role, name in names.items()]
    notes = [f"{path.name}: columns {', '.join(spelled)}"]
    further = [name for name in columns if name not in roles.values()]
    if further:
        notes.append(f"{path.name}: further columns, taken for subgroups and shortcuts: {', '.join(further)}")
    return notes


def _hint(role: str, columns: Sequence[str]) -> str:
    close = difflib.get_close_matches(role, [name.casefold() for name in columns], n=1, cutoff=0.6)
    if close:
        return f"Rename `{next(name for name in columns if name.casefold() == close[0])}` to `{role}`"
    return f"Rename the column that holds it to `{role}`, or add a first line with column names"


def _rows(raw: _Raw, roles: Mapping[str, str], faults: Faults, kind: str) -> Iterable[Row]:
    place = {name: index for index, name in enumerate(raw.columns)}
    whole_numbers = {name: _whole_numbers(cells[place[name]] for _, cells in raw.records) for name in roles.values()}
    further = [name for name in raw.columns if name not in roles.values()]
    for line, cells in raw.records:
        values = {
            role: _text(cells[place[name]], whole=whole_numbers[name]) if name in place else None
            for role, name in roles.items()
        }
        slide = values["slide"]
        if slide is None:
            faults.add(
                f"no {kind}", f"line {line}: column `{roles['slide']}` is empty; name the {kind} or delete the line"
            )
            continue
        group, split = (_stripped(values.get(role)) for role in ("group", "split"))
        extra = {name: cells[place[name]] for name in further}
        yield Row(line, slide, values.get("label"), _stripped(values.get("mask")), group, split, extra)


def _text(cell: Any, *, whole: bool) -> str | None:
    if _is_empty(cell):
        return None
    text = str(int(cell)) if whole and isinstance(cell, float) else str(cell)
    return text if identifier(text).strip() else None


def _in_one_spelling(rows: list[Row], roles: Mapping[str, str], notes: list[str]) -> tuple[list[Row], list[str]]:
    """The rows with label, group and split in one spelling each, and warnings; what was changed goes to `notes`."""
    warnings = []
    for role in ("label", "group", "split"):
        if role not in roles:
            continue
        # Groups and splits are keys, so stray spaces must not make two of one; labels keep theirs.
        texts = (text for row in rows if (text := getattr(row, role)) is not None)
        spellings = Spellings(role, texts, strip=role != "label")
        for number, row in enumerate(rows):
            text = getattr(row, role)
            if text is not None:
                changed: dict[str, Any] = {role: spellings.of(text)}
                rows[number] = replace(row, **changed)
        warnings += spellings.warnings()
        notes += spellings.notes()
    return rows, warnings


def _stripped(text: str | None) -> str | None:
    return None if text is None else text.strip()


def _whole_numbers(cells: Iterable[Any]) -> bool:
    """Whether a column of floats is one of integers that lost its type to a missing value."""
    return all(cell is None or not isinstance(cell, float) or math.isnan(cell) or cell.is_integer() for cell in cells)


def _without_repetitions(rows: list[Row], notes: list[str], faults: Faults, kind: str) -> list[Row]:
    first: dict[str, Row] = {}
    num_repeated: dict[str, int] = {}
    for row in rows:
        known = first.setdefault(same_name(row.slide), row)
        if known is row:
            continue
        differing = [name for name in ("label", "mask", "group", "split") if getattr(row, name) != getattr(known, name)]
        differing += [name for name in row.extra if row.extra[name] != known.extra[name]]
        if not differing:
            num_repeated[row.slide] = num_repeated.get(row.slide, 1) + 1
            continue
        values = ", ".join(f"{name} {_value(known, name)!r} and {_value(row, name)!r}" for name in differing)
        faults.add(
            "conflict",
            f"{kind} `{row.slide}`: lines {known.line} and {row.line} disagree ({values}); keep the right one",
        )
    if num_repeated:
        repeated = ", ".join(f"`{name}` ({num} times)" for name, num in list(num_repeated.items())[:3])
        more = f" and {len(num_repeated) - 3} more" if len(num_repeated) > 3 else ""
        notes.append(f"identical rows taken once: {repeated}{more}")
    return list(first.values())


def _value(row: Row, name: str) -> Any:
    return row.extra[name] if name in row.extra else getattr(row, name)
