"""Tables of the report that need counting first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from tilewise.reporting.data import PartSummary
from tilewise.reporting.text import count

_NUM_BINS = 24
_NUM_LOSSES = 20


@dataclass(frozen=True)
class TileCounts:
    """How many tiles slides have. `bins` are (from, to, number of slides, height as a share of the highest)."""

    num_tiles: int
    num_slides: int
    num_empty: int
    least: int
    middle: float
    most: int
    bins: tuple[tuple[int, int, int, float], ...]


def tile_counts(counts: Mapping[str, int]) -> TileCounts | None:
    """Summary and histogram of the slides that have tiles; None where none has."""
    filled = sorted(number for number in counts.values() if number > 0)
    if not filled:
        return None
    width = max(1, -(-(filled[-1] + 1) // _NUM_BINS))
    numbers = [0] * (filled[-1] // width + 1)
    for number in filled:
        numbers[number // width] += 1
    highest = max(numbers)
    bins = tuple(
        (index * width, (index + 1) * width - 1, number, number / highest) for index, number in enumerate(numbers)
    )
    return TileCounts(
        num_tiles=sum(filled),
        num_slides=len(filled),
        num_empty=len(counts) - len(filled),
        least=filled[0],
        middle=median(filled),
        most=filled[-1],
        bins=bins,
    )


@dataclass(frozen=True)
class FoldRow:
    """One fold: its parts in order, each with slides per class."""

    title: str
    parts: tuple[PartSummary, ...]


def fold_rows(parts: Sequence[PartSummary]) -> list[FoldRow]:
    """Parts collected by fold, in the order they come."""
    by_fold: dict[int | None, list[PartSummary]] = {}
    for part in parts:
        by_fold.setdefault(part.fold, []).append(part)
    return [
        FoldRow("Hold-out" if fold is None else f"Fold {fold}", tuple(members)) for fold, members in by_fold.items()
    ]


def fold_summary(parts: Sequence[PartSummary]) -> str:
    """Folds and the sizes of their parts in one line: `5 folds; train 26–30, validation 7–8, test 8–12 slides`."""
    sizes: dict[str, list[int]] = {}
    for part in parts:
        sizes.setdefault("hold-out" if part.fold is None else part.part, []).append(sum(part.slides.values()))
    listed = ", ".join(f"{name} {_span(sums)}" for name, sums in sizes.items())
    num_folds = len({part.fold for part in parts if part.fold is not None})
    return f"{count(num_folds, 'fold')}; {listed} slides" if listed else count(num_folds, "fold")


def _span(sizes: Sequence[int]) -> str:
    low, high = min(sizes), max(sizes)
    return str(low) if low == high else f"{low}\N{EN DASH}{high}"


def flat(mapping: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested mappings as rows of `a.b` and text."""
    rows: list[tuple[str, str]] = []
    for key, value in mapping.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            rows += flat(value, f"{name}.")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            rows.append((name, text))
    return rows


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


@dataclass(frozen=True)
class LossTables:
    """Mean log loss of each class, the highest first, and the slides with the highest loss.

    Attributes:
        mean: over the slides out of fold.
        classes: name, slides and mean loss of each class that has slides.
        slides: rows of the evaluation's `highest_losses`, as many as are shown.
    """

    mean: float
    classes: tuple[tuple[str, int, float], ...]
    slides: tuple[Mapping[str, Any], ...]


def loss_tables(evaluation: Mapping[str, Any]) -> LossTables | None:
    """The tables of an evaluation; None for one of an earlier version, which knows no losses."""
    pooled, slides = evaluation["out_of_fold"], evaluation.get("highest_losses")
    if not slides:
        return None
    classes = [(name, row["support"], row["log_loss"]) for name, row in pooled["per_class"].items() if row["support"]]
    classes.sort(key=lambda row: -row[2])
    return LossTables(pooled["log_loss"], tuple(classes), tuple(slides[:_NUM_LOSSES]))
