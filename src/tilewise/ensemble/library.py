"""Finished runs to be combined: checked to be of the same slides, labels, groups and folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from tilewise.errors import ArtifactError, UsageError
from tilewise.folds import PART_NAMES, Folds
from tilewise.inference.predictions import Predictions

_KEYS = ["part", "fold", "slide"]


@dataclass(frozen=True, eq=False)
class LibraryRun:
    """One run as the combination sees it.

    Attributes:
        name: by which reports and messages call it.
        folds: its fold file.
        predictions: of its `validation`, `test` and `holdout` parts.
    """

    name: str
    folds: Folds
    predictions: Predictions

    def rows(self) -> pd.DataFrame:
        """The predictions in an order that is the same for all runs of the same folds."""
        return self.predictions.table.sort_values(_KEYS, kind="stable").reset_index(drop=True)


def check_same(runs: Sequence[LibraryRun]) -> None:
    """Refuse runs that cannot be combined.

    Raises:
        UsageError: there are fewer than two, or one was made on other slides, labels, groups or parts than the first;
            names the run and the slide.
        ArtifactError: a run's predictions are not of its own folds.
    """
    if len(runs) < 2:
        raise UsageError("combining takes two runs or more; name another, trained on the same cohort and folds")
    first = runs[0]
    for run in runs[1:]:
        difference = _difference(first, run)
        if difference:
            raise UsageError(
                f"run {run.name} cannot be combined with {first.name}: {difference}; train both on the same cohort, "
                "with the same decisions, `folds` section and --seed"
            )
        if run.predictions.classes != first.predictions.classes:
            raise UsageError(
                f"run {run.name} cannot be combined with {first.name}: it knows the classes "
                f"{', '.join(run.predictions.classes)}, the other {', '.join(first.predictions.classes)}"
            )
    for run in runs:
        _check_rows(run)


def _difference(first: LibraryRun, other: LibraryRun) -> str:
    """The first thing in which two runs' folds differ, in words; '' where there is none."""
    mine = {item.slide_id: item for item in first.folds.items}
    yours = {item.slide_id: item for item in other.folds.items}
    for name in sorted(mine.keys() ^ yours.keys()):
        return f"slide {name} is in the folds of {first.name if name in mine else other.name} only"
    for name, item in mine.items():
        for what in ("label", "group"):
            left, right = getattr(item, what), getattr(yours[name], what)
            if left != right:
                return f"slide {name} has the {what} {left!r} in {first.name} and {right!r} in {other.name}"
    if len(first.folds.folds) != len(other.folds.folds):
        return f"{first.name} has {len(first.folds.folds)} folds and {other.name} {len(other.folds.folds)}"
    left_of, right_of = _parts(first.folds), _parts(other.folds)
    for place, left in sorted(left_of.items()):
        right = right_of.get(place, "no part")
        if left != right:
            return f"slide {place[1]} is in {left} in {first.name} and in {right} in {other.name}"
    return ""


def _parts(folds: Folds) -> dict[tuple[int, str], str]:
    """Fold (-1 for the hold-out) and slide -> part, in words; every slide is asked whether it is held out."""
    holdout = set(folds.holdout)
    parts = {(-1, item.slide_id): "the hold-out" if item.slide_id in holdout else "the folds" for item in folds.items}
    return parts | {
        (number, name): f"{part} of fold {number}"
        for number, fold in enumerate(folds.folds)
        for part in PART_NAMES
        for name in fold.part(part)
    }


def _check_rows(run: LibraryRun) -> None:
    """Every slide of a `validation` or `test` part or of the hold-out has one row, and no other has."""
    expected = {
        (part, number, name)
        for number, fold in enumerate(run.folds.folds)
        for part in ("validation", "test")
        for name in fold.part("validation" if part == "validation" else "test")
    } | {("holdout", -1, name) for name in run.folds.holdout}
    table = run.predictions.table
    rows = list(zip(table["part"], table["fold"].astype(int), table["slide"], strict=True))
    odd = sorted(expected ^ set(rows))
    if odd or len(rows) != len(expected):
        named = odd[0][2] if odd else "a slide"
        raise ArtifactError(
            f"run {run.name}: its predictions are not those of its folds ({named} is missing or stands there twice); "
            "give its `tilewise train` command again"
        )
