"""Labels of slides: one table of slides, or a table of patients and one that says which slides are whose."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from tilewise.cohort.faults import Faults, abbreviate
from tilewise.cohort.identifiers import Spellings, means_missing
from tilewise.cohort.table import Row, Table, read_table
from tilewise.errors import CohortError
from tilewise.wording import count


@dataclass(frozen=True)
class LabelTables:
    """Tables with the labels of a folder of features.

    Attributes:
        labels: table with a row per slide; or per patient, as STAMP's clini table, where `slide_table` is given or each
            patient has one file of that name.
        slide_table: whose slides are which, as STAMP's slide table: patients and names of files; None where `labels`
            names the slides.
        label_column: of `labels`; None takes `label`, or the only column beside the patients.

    Example:
        >>> tw.api.LabelTables("clini.csv", slide_table="slide.csv", label_column="isMSIH").label_column
        'isMSIH'
    """

    labels: Path | str
    slide_table: Path | str | None = None
    label_column: str | None = None


def read_label_tables(tables: LabelTables, *, need_label: bool, faults: Faults, classes: Collection[str] = ()) -> Table:
    """A row per slide, with its label, its patient as the group, and further columns of both tables.

    Args:
        tables: of slides, or of patients and their slides.
        need_label: whether a table without a column of labels is at fault.
        faults: where faults of single rows go.
        classes: labels of patients that are classes, however they are spelled.

    Raises:
        CohortError: a table cannot be read, or lacks a column that it needs.
    """
    table = read_table(
        Path(tables.labels),
        need_label=need_label,
        faults=faults,
        label_column=tables.label_column,
        key="slide or patient" if tables.slide_table is None else "patient",
    )
    if tables.slide_table is None:
        return table
    slides = read_table(Path(tables.slide_table), need_label=False, faults=faults)
    _check_columns(slides, table)
    return _joined(slides, table, faults, classes)


def _check_columns(slides: Table, patients: Table) -> None:
    name = patients.path.name
    if "group" not in slides.roles:
        raise CohortError(f"{slides.path}: no column names the patients; call it PATIENT, as in {name}")
    twice = ["label"] if "label" in slides.roles else sorted({*_further(slides)} & {*_further(patients)})
    if twice:
        raise CohortError(
            f"{slides.path}: labels and column `{twice[0]}` are those of {name}; delete `{twice[0]}` here"
        )


def _further(table: Table) -> Iterable[str]:
    return table.rows[0].extra if table.rows else ()


def _missing(rows: Iterable[Row], classes: Collection[str]) -> set[str | None]:
    return {row.label for row in rows if row.label and means_missing(row.label) and row.label not in classes}


def _joined(slides: Table, patients: Table, faults: Faults, classes: Collection[str]) -> Table:
    missing = _missing(patients.rows, classes)
    texts = [row.group for row in slides.rows if row.group is not None] + [row.slide for row in patients.rows]
    spellings = Spellings("patient", texts, strip=True)
    by_patient: dict[str, Row] = {}
    for row in patients.rows:
        first = by_patient.setdefault(spellings.of(row.slide), row)
        if first is not row:
            text = f"patient `{row.slide}`: lines {first.line} and {row.line} are of one patient; keep the right one"
            faults.add("conflict", text)
    empty = dict.fromkeys(_further(patients))
    rows, used, unknown = [], set(), []
    for slide in slides.rows:
        group = None if slide.group is None else spellings.of(slide.group)
        patient = None if group is None else by_patient.get(group)
        if patient is None:
            unknown.append(slide.slide)
            rows.append(replace(slide, group=group, extra={**empty, **slide.extra}))
            continue
        used.add(group)
        label = None if patient.label in missing else patient.label
        further = {**patient.extra, **slide.extra}
        rows.append(replace(slide, group=group, label=label, split=slide.split or patient.split, extra=further))
    notes = [*slides.notes, *patients.notes]
    unlabelled = [row.slide for row in patients.rows if row.label in missing]
    if unlabelled:
        notes.append(
            f"{patients.path.name}: {count(len(unlabelled), 'label')} taken for none: {abbreviate(unlabelled)}"
        )
    idle = [name for name in by_patient if name not in used]
    if idle:
        notes.append(f"{count(len(idle), 'patient')} of {patients.path.name} without a slide: {abbreviate(idle)}")
    warnings = [*slides.warnings, *patients.warnings, *spellings.warnings()]
    if unknown:
        warnings.append(
            f"{count(len(unknown), 'slide')} of {slides.path.name} of no patient in {patients.path.name} and without a "
            f"label: {abbreviate(unknown)}"
        )
    return Table(slides.path, tuple(rows), {**patients.roles, **slides.roles}, tuple(notes), tuple(warnings))
