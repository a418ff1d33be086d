"""The cohort's layout and the tiles, in sentences."""

from __future__ import annotations

from collections.abc import Iterable

from tilewise.tiles.window import Boxes

_LAYOUTS = {
    "table": "a table of slides and labels",
    "contract": "train_data/ with train_labels.csv",
    "images": "images/ with labels.csv",
    "flat": "one folder of slides with labels.csv",
    "class folders": "one folder of slides per class",
}
_FROM_TABLE = "slides and labels from "
_LOOKED_AT = 1000


def describe_layout(layout: str, notes: Iterable[str]) -> str:
    """What the cohort's folder was taken for; a table by its name, where the notes of the discovery give one."""
    named = next((note.removeprefix(_FROM_TABLE) for note in notes if note.startswith(_FROM_TABLE)), "")
    return f"a table, {named}" if layout == "table" and named else _LAYOUTS.get(layout, layout)


def overlapping(boxes: Boxes) -> bool:
    """Whether any two of a slide's first tiles overlap; rows of a grid stand together, so the first ones tell."""
    x, y, width, height = boxes[:_LOOKED_AT].T
    across = (x[:, None] < (x + width)[None]) & (x[None] < (x + width)[:, None])
    down = (y[:, None] < (y + height)[None]) & (y[None] < (y + height)[:, None])
    return int((across & down).sum()) > len(x)  # each tile overlaps itself
