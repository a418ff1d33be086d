"""Rows of one kind as a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import Field, astuple, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tilewise.store import write_text

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Row = TypeVar("Row", bound="DataclassInstance")


def column_of(field: Field[Any]) -> str:
    """The column that a field of a row stands in: `column` of its metadata, else its name."""
    name: str = field.metadata.get("column", field.name)
    return name


def write_table(path: Path, kind: type[Row], rows: Iterable[Row]) -> None:
    """Write rows each field in its column; None is an empty cell, and of two values yes is 1 and no is 0."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(column_of(field) for field in fields(kind))
    for row in rows:
        writer.writerow(int(cell) if isinstance(cell, bool) else cell for cell in astuple(row))
    write_text(path, buffer.getvalue())
