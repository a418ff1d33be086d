"""The confusion matrix as a table of counts and row shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cell:
    """Slides of one class that were given one prediction; `share` is of the class's slides, None where it has none."""

    count: int
    share: float | None
    right: bool


@dataclass(frozen=True)
class ConfusionRow:
    """One class: its slides, spread over the predictions."""

    label: str
    total: int
    cells: tuple[Cell, ...]


def confusion_rows(confusion: Mapping[str, Any]) -> list[ConfusionRow]:
    """Rows in the order of the labels, truth in the rows."""
    rows = []
    for row, (label, counts) in enumerate(zip(confusion["labels"], confusion["counts"], strict=True)):
        total = sum(counts)
        cells = tuple(
            Cell(number, number / total if total else None, right=column == row) for column, number in enumerate(counts)
        )
        rows.append(ConfusionRow(label, total, cells))
    return rows
