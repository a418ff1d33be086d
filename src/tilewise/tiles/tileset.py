"""The tile set: one table for a whole cohort."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tilewise.errors import ArtifactError
from tilewise.store import read_table, write_table
from tilewise.tiles.plan import TilePlan
from tilewise.tiles.rows import TileRows
from tilewise.tiles.window import Boxes
from tilewise.wording import count

_SCHEMA = "tilewise.tiles"
_VERSION = 2
_BOX = ["x", "y", "width", "height"]
_FIELD = ["field_x", "field_y", "field_width", "field_height"]
_COLUMNS = {
    "slide": "object", "tile": "int32", **dict.fromkeys(_BOX, "int32"), "mask_ratio": "float32", "region": "object",
    "strategy": "object", "place": "int32", "scale": "int8", **dict.fromkeys(_FIELD, "int32"), "padding": "object",
}  # fmt: skip


@dataclass(frozen=True, repr=False)
class TileSet:
    """Tiles of a cohort.

    Attributes:
        table: one row per tile, rows of a slide together: slide; tile (from 0 within its slide); x, y, width, height
            (its box, level-0 pixels inside the slide); mask_ratio; region (`mask`, `tissue` or `slide`: what it was
            cut by); strategy; place (from 0 within its slide; fields of several scales around one centre share it);
            scale (index into `tiles.field_scales`); field_x, field_y, field_width, field_height (what is scaled to the
            tile, and may reach beyond the slide); padding (`pad`, `reflect` or empty: how the field is filled around
            the box).
        skipped: slide -> why it yields no tile.
        fallbacks: slide -> why its tiles were not cut by its mask.
        dropped: slide -> filter (`blank`, `blurred`, `near-duplicate`, `beyond max_tiles`) -> tiles it took away.
        small_masks: slide -> that its mask is smaller than tiles ask for, and what was taken of it.
    """

    table: pd.DataFrame
    skipped: dict[str, str]
    fallbacks: dict[str, str]
    dropped: dict[str, dict[str, int]] = field(default_factory=dict)
    small_masks: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        of_slides = count(self.table["slide"].nunique(), "slide")
        return f"<TileSet: {count(len(self.table), 'tile')} of {of_slides}, {len(self.skipped)} without any>"

    @classmethod
    def of(cls, plans: Mapping[str, TilePlan]) -> TileSet:
        """Join the plans of all slides into one table."""
        table = _table({name: plan.rows for name, plan in plans.items() if len(plan.rows)})
        skipped = {name: plan.reason for name, plan in plans.items() if not len(plan.rows)}
        fallbacks = {name: plan.reason for name, plan in plans.items() if len(plan.rows) and plan.reason}
        dropped = {name: dict(plan.dropped) for name, plan in plans.items() if plan.dropped}
        small_masks = {name: plan.small_mask for name, plan in plans.items() if len(plan.rows) and plan.small_mask}
        return cls(table.astype(_COLUMNS), skipped, fallbacks, dropped, small_masks)

    def boxes(self) -> dict[str, Boxes]:
        """Slide -> boxes, int64 (N, 4) as x, y, width, height inside the slide, in the table's order."""
        return {name: rows.boxes for name, rows in self.rows().items()}

    def rows(self) -> dict[str, TileRows]:
        """Slide -> its tiles with everything that reading them takes, in the table's order."""
        whole = _rows(self.table)
        numbers, names = pd.factorize(self.table["slide"])
        order, ends = np.argsort(numbers, kind="stable"), np.bincount(numbers, minlength=len(names)).cumsum()
        # Columns are taken out of the table once, since doing so for each slide costs more than reading its features.
        return {
            str(name): whole[order[end - num : end]]
            for name, num, end in zip(names, np.diff(ends, prepend=0), ends, strict=True)
        }

    def counts(self) -> dict[str, int]:
        """Slide -> number of tiles, slides without any included."""
        counts: dict[str, int] = dict.fromkeys(self.skipped, 0)
        counts.update({str(name): int(num) for name, num in self.table["slide"].value_counts(sort=False).items()})
        return counts

    def write(self, path: Path, *, inputs: str) -> None:
        """Write the table; `inputs` is the digest of what it was made from."""
        names = ("skipped", "fallbacks", "dropped", "small_masks")
        head = {name: getattr(self, name) for name in names} | {"inputs": inputs}
        write_table(path, self.table, schema=_SCHEMA, version=_VERSION, metadata=head)

    @classmethod
    def read(cls, path: Path) -> tuple[TileSet, str]:
        """Read a table and the digest of its inputs. A table of version 1 tells no strategy.

        Raises:
            ArtifactError: it is missing or damaged.
        """
        table, head = read_table(path, schema=_SCHEMA, version=_VERSION)
        if head["schema_version"] == 1:
            table = _from_version_1(table)
        if "training_only" in table:  # earlier versions marked extra views of rare classes
            table = table[~table["training_only"].astype(bool)].reset_index(drop=True)
        dropped = {str(name): dict(num_by_filter) for name, num_by_filter in head.get("dropped", {}).items()}
        small_masks = _strings(head.get("small_masks", {}))
        table = table[list(_COLUMNS)].astype(_COLUMNS)
        tiles = cls(table, _strings(head["skipped"]), _strings(head["fallbacks"]), dropped, small_masks)
        return tiles, str(head["inputs"])

    @classmethod
    def is_table(cls, path: Path) -> bool:
        """Whether a file is a table that `write` wrote."""
        try:
            cls.read(path)
        except ArtifactError:
            return False
        return True


def _table(rows: Mapping[str, TileRows]) -> pd.DataFrame:
    """One table of all slides; a frame of each would take ten times the memory of its tiles."""
    if not rows:
        return pd.DataFrame(columns=list(_COLUMNS))
    nums = [len(each) for each in rows.values()]
    joined = {
        column.name: np.concatenate([getattr(each, column.name) for each in rows.values()])
        for column in fields(TileRows)
    }
    return pd.DataFrame(
        {
            "slide": np.repeat(np.array(list(rows), dtype=object), nums),
            "tile": np.concatenate([np.arange(num) for num in nums]),
            **dict(zip(_BOX, joined["boxes"].T, strict=True)),
            "mask_ratio": joined["ratios"],
            "region": joined["region"],
            "strategy": joined["strategy"],
            "place": joined["place"],
            "scale": joined["scale"],
            **dict(zip(_FIELD, joined["fields"].T, strict=True)),
            "padding": joined["padding"],
        }
    )


def _rows(table: pd.DataFrame) -> TileRows:
    return TileRows(
        boxes=table[_BOX].to_numpy(np.int64),
        fields=table[_FIELD].to_numpy(np.int64),
        ratios=table["mask_ratio"].to_numpy(np.float64),
        strategy=table["strategy"].to_numpy(object),
        region=table["region"].to_numpy(object),
        padding=table["padding"].to_numpy(object),
        place=table["place"].to_numpy(np.int64),
        scale=table["scale"].to_numpy(np.int64),
    )


def _from_version_1(table: pd.DataFrame) -> pd.DataFrame:
    """Version 1 had one strategy, named in the recipe alone, and every tile was its box."""
    boxes = {new: table[old] for new, old in zip(_FIELD, _BOX, strict=True)}
    table = table.assign(**boxes, strategy="", place=table["tile"], scale=0, padding="")
    return table[list(_COLUMNS)]


def _strings(value: Any) -> dict[str, str]:
    return {str(key): str(item) for key, item in dict(value).items()}
