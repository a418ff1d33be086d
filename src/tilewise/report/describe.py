"""The cohort's layout and the tiles, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tilewise.report.numbers import percent
from tilewise.tiles.window import Boxes

_LAYOUTS = {
    "table": "a table of slides and labels",
    "contract": "train_data/ with train_labels.csv",
    "images": "images/ with labels.csv",
    "flat": "one folder of slides with labels.csv",
    "class folders": "one folder of slides per class",
}
_FROM_TABLE = "slides and labels from "
_INSTEAD = {
    "tissue": "Where a mask cannot be used, tissue found by its colour stands in for it.",
    "slide": "Where a mask cannot be used, tiles come from the whole slide.",
    "exclude": "A slide whose mask cannot be used is left out.",
}
_LOOKED_AT = 1000


def describe_layout(layout: str, notes: Iterable[str]) -> str:
    """What the cohort's folder was taken for; a table by its name, where the notes of the discovery give one."""
    named = next((note.removeprefix(_FROM_TABLE) for note in notes if note.startswith(_FROM_TABLE)), "")
    return f"a table, {named}" if layout == "table" and named else _LAYOUTS.get(layout, layout)


def describe_tiles(config: Mapping[str, Any]) -> str:
    """How tiles were cut, from the recipe's `tiles`."""
    size, ratio = config["size_px"], float(config["min_mask_ratio"])
    step = config["stride_px"] or size
    if config["strategy"] == "window":
        start = f"Tiles are squares of {size} px on a grid of {step} px"
    else:
        start = (
            f"One square tile of {size} px is centred on each region of the mask of {config['min_component_px']} px up"
        )
    under = f"at least {percent(ratio)} of a tile lies under the mask" if ratio else "the mask touches each tile"
    most = "" if config["max_tiles"] is None else f" A slide has at most {config['max_tiles']}."
    return f"{start}; {under}.{most} {_INSTEAD[config['fallback']]}"


def overlapping(boxes: Boxes) -> bool:
    """Whether any two of a slide's first tiles overlap; rows of a grid stand together, so the first ones tell."""
    x, y, width, height = boxes[:_LOOKED_AT].T
    across = (x[:, None] < (x + width)[None]) & (x[None] < (x + width)[:, None])
    down = (y[:, None] < (y + height)[None]) & (y[None] < (y + height)[:, None])
    return int((across & down).sum()) > len(x)  # each tile overlaps itself
