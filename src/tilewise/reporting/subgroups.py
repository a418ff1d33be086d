"""Accuracy where columns of the table say so, beside that of all slides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tilewise.reporting.headline import Row
from tilewise.reporting.text import count, number


@dataclass(frozen=True)
class Subgroups:
    """What the rows come to, the rows of the chart, and those of the table, as the evaluation has them."""

    sentence: str
    rows: tuple[Row, ...]
    table: tuple[Mapping[str, Any], ...]


def subgroups(evaluation: Mapping[str, Any]) -> Subgroups | None:
    """Those of an evaluation; None where the table has no further columns."""
    table: Sequence[Mapping[str, Any]] = evaluation.get("subgroups") or ()
    if not table:
        return None
    whole = evaluation["out_of_fold"]["accuracy"]
    rows = [Row("All slides", "", "score", whole["value"], whole["low"], whole["high"])]
    for row in table:
        accuracy, detail = row["accuracy"], count(row["num_slides"], "slide")
        ends = (accuracy["value"], accuracy["low"], accuracy["high"])
        rows.append(Row(f"{row['column']} {row['value']}", detail, "baseline", *ends))
    return Subgroups(_sentence(rows[0], rows[1:]), tuple(rows), tuple(table))


def _sentence(whole: Row, rows: Sequence[Row]) -> str:
    known = [row for row in rows if row.value is not None and row.low is not None and row.high is not None]
    if not known or whole.value is None:
        return "Accuracy is not defined in these rows."
    lowest = min(known, key=lambda row: (row.value, row.label))
    beside = [row.label for row in known if not row.low <= whole.value <= row.high]  # type: ignore[operator]
    apart = f"{', '.join(beside)} {'lies' if len(beside) == 1 else 'lie'} beside" if beside else "no interval excludes"
    return (
        f"Accuracy is lowest where {lowest.label}: {number(lowest.value)} ({lowest.range}); {apart} that of all "
        f"slides, {number(whole.value)}."
    )
