"""Which slides a report shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tilewise.reporting.data import SlideResult

if TYPE_CHECKING:
    import pandas as pd

_PARTS = ("test", "holdout")
_SHOWN_PER_CLASS, _SHOWN_ERRORS = 3, 8


def shown_slides(table: pd.DataFrame, classes: Sequence[str]) -> list[SlideResult]:
    """Every slide that a report shows, once."""
    results = [*example_slides(table, classes), *confident_errors(table)]
    return list({result.slide: result for result in results}.values())


def confident_errors(table: pd.DataFrame, *, most: int = _SHOWN_ERRORS) -> list[SlideResult]:
    """The wrong predictions with the highest probability, that first; of equals, in the order of names."""
    wrong = [result for result in slide_results(table) if not result.right]
    return sorted(wrong, key=lambda result: (-result.probability, result.slide))[:most]


def example_slides(
    table: pd.DataFrame, classes: Sequence[str], *, per_class: int = _SHOWN_PER_CLASS
) -> list[SlideResult]:
    """Slides of each class, spread evenly from the surest of the truth to the least sure.

    Examples picked by how sure the model was show what is easy and what is hard; picked by eye they would show neither.
    """
    chosen, results = [], slide_results(table)
    for name in classes:
        own = [result for result in results if result.label == name]
        own.sort(key=lambda result: (-result.label_probability, result.slide))
        places: list[int] = np.linspace(0, len(own) - 1, min(per_class, len(own))).round().astype(int).tolist()
        chosen += [own[place] for place in places]
    return chosen


def slide_results(table: pd.DataFrame) -> list[SlideResult]:
    """Labelled rows of the test parts and the hold-out of a predictions table, without pictures."""
    rows = table[table["part"].isin(_PARTS) & table["label"].notna()].sort_values("slide", kind="stable")
    return [
        SlideResult(
            slide=str(row["slide"]),
            label=str(row["label"]),
            predicted=str(row["predicted"]),
            probability=float(row[f"p_{row['predicted']}"]),
            label_probability=float(row[f"p_{row['label']}"]),
            fold=None if row["part"] == "holdout" else int(row["fold"]),
            num_tiles=int(row["num_tiles"]),
        )
        for row in rows.to_dict("records")
    ]
