"""Which slides, and which classes, cost most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SHOWN = 20


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
    return LossTables(pooled["log_loss"], tuple(classes), tuple(slides[:_SHOWN]))
