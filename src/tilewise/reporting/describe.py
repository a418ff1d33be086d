"""The cohort's layout, the audit's decisions and the deployed classifier, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tilewise.auditing.finding import INVERT
from tilewise.folds import Folds
from tilewise.inference.classifier import read_weights
from tilewise.reporting.data import DecisionRow
from tilewise.reporting.text import number
from tilewise.run_folder import RunFolder

_LAYOUTS = {
    "table": "a table of slides and labels",
    "contract": "train_data/ with train_labels.csv",
    "images": "images/ with labels.csv",
    "flat": "one folder of slides with labels.csv",
    "class folders": "one folder of slides per class",
    "features": "a folder of features with a table of labels",
}
_FROM_TABLE = "slides and labels from "
_OWN_AUTHOR = "tilewise"
_WORDS = {"keep": "kept", "drop": "left out", "relabel": "relabelled", "repair": "repaired"}
_INSTEAD = {"tissue": "tissue instead", "slide": "whole slide instead", "exclude": "slide left out"}


def describe_layout(layout: str, notes: Iterable[str]) -> str:
    """What the cohort's folder was taken for; a table by its name, where the notes of the discovery give one."""
    named = next((note.removeprefix(_FROM_TABLE) for note in notes if note.startswith(_FROM_TABLE)), "")
    return f"a table, {named}" if layout == "table" and named else _LAYOUTS.get(layout, layout)


@dataclass(frozen=True)
class DecisionGroup:
    """Slides with the same finding, decision, reason and author; `decision` is in words."""

    finding: str
    decision: str
    reason: str
    author: str
    slides: tuple[str, ...]


def decision_groups(rows: Sequence[DecisionRow], *, fallback: str) -> list[DecisionGroup]:
    """Equal decisions together, in the order in which each comes first.

    Args:
        rows: one decision each.
        fallback: what the tile stage uses where a mask is not used: `tissue`, `slide` or `exclude`.
    """
    slides: dict[tuple[str, str, str, str], list[str]] = {}
    for row in rows:
        key = (row.finding, _words(row, fallback), row.reason, row.author)
        slides.setdefault(key, []).append(row.slide)
    return [DecisionGroup(*key, tuple(names)) for key, names in slides.items()]


def by_others(groups: Sequence[DecisionGroup]) -> bool:
    """Whether anyone but the audit itself took a decision."""
    return any(group.author not in {"", _OWN_AUTHOR} for group in groups)


def _words(row: DecisionRow, fallback: str) -> str:
    if row.decision == "fix-mask" and row.value == INVERT:
        return "mask inverted"
    if row.decision == "fix-mask":
        lead = "no mask" if row.finding == "mask-missing" else "mask not used"
        return f"{lead}; {_INSTEAD.get(fallback, fallback)}"
    words = _WORDS.get(row.decision, row.decision)
    return f"{words} as {row.value}" if row.value else words


def describe_deployed(folder: RunFolder, folds: Folds) -> str:
    """In two sentences: its members with their weights, and where it is scored.

    Raises:
        ArtifactError: the run's bundle is missing or damaged.
    """
    weights = read_weights(folder.model)
    if len(folds.folds) == 1 and not folds.holdout:
        return "`tilewise predict` uses the model that is scored here, on slides that it did not learn from."
    if len(weights) == 1:
        made = "`tilewise predict` uses one fold's model alone"
    elif len(set(weights)) == 1:
        made = f"`tilewise predict` uses the mean of {len(weights)} folds' models"
    else:
        made = f"`tilewise predict` uses {len(weights)} folds' models, weighted {', '.join(map(number, weights))}"
    if folds.holdout:
        return f"{made}; its own score is that on the hold-out."
    return (
        f"{made}. The folds hold every slide, so that classifier has no score of its own: the one here is of the "
        "folds' models, each by itself. `--set folds.holdout_fraction=0.2` sets slides apart for one."
    )
