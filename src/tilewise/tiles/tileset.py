"""The tile set: one table for a whole cohort."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tilewise.store import read_table, write_table
from tilewise.tiles.plan import TilePlan
from tilewise.tiles.window import Boxes

_SCHEMA = "tilewise.tiles"
_VERSION = 1
_COLUMNS = {
    "slide": "object", "tile": "int32", "x": "int32", "y": "int32", "width": "int32", "height": "int32",
    "mask_ratio": "float32", "region": "object",
}  # fmt: skip


@dataclass(frozen=True)
class TileSet:
    """Tiles of a cohort.

    Attributes:
        table: one row per tile: slide, tile (from 0 within its slide), x, y, width, height (level-0 pixels),
            mask_ratio, region (`mask`, `tissue` or `slide`: what the tile was cut by). Rows of a slide stand together.
        skipped: slide -> why it yields no tile.
        fallbacks: slide -> why its tiles were not cut by its mask.
    """

    table: pd.DataFrame
    skipped: dict[str, str]
    fallbacks: dict[str, str]

    @classmethod
    def of(cls, plans: Mapping[str, TilePlan]) -> TileSet:
        """Join the plans of all slides into one table."""
        frames = [
            pd.DataFrame(
                {
                    "slide": name,
                    "tile": np.arange(len(plan.boxes)),
                    "x": plan.boxes[:, 0],
                    "y": plan.boxes[:, 1],
                    "width": plan.boxes[:, 2],
                    "height": plan.boxes[:, 3],
                    "mask_ratio": plan.ratios,
                    "region": plan.region,
                }
            )
            for name, plan in plans.items()
            if len(plan.boxes)
        ]
        table = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(_COLUMNS))
        skipped = {name: plan.reason for name, plan in plans.items() if not len(plan.boxes)}
        fallbacks = {name: plan.reason for name, plan in plans.items() if len(plan.boxes) and plan.reason}
        return cls(table.astype(_COLUMNS), skipped, fallbacks)

    def boxes(self) -> dict[str, Boxes]:
        """Slide -> boxes, int64 (N, 4) as x, y, width, height, in the table's order."""
        columns = ["x", "y", "width", "height"]
        return {str(name): rows[columns].to_numpy(np.int64) for name, rows in self.table.groupby("slide", sort=False)}

    def counts(self) -> dict[str, int]:
        """Slide -> number of tiles, slides without any included."""
        counts: dict[str, int] = dict.fromkeys(self.skipped, 0)
        counts.update({str(name): int(num) for name, num in self.table["slide"].value_counts(sort=False).items()})
        return counts

    def write(self, path: Path, *, inputs: str) -> None:
        """Write the table; `inputs` is the digest of what it was made from."""
        head = {"skipped": self.skipped, "fallbacks": self.fallbacks, "inputs": inputs}
        write_table(path, self.table, schema=_SCHEMA, version=_VERSION, metadata=head)

    @classmethod
    def read(cls, path: Path) -> tuple[TileSet, str]:
        """Read a table and the digest of its inputs.

        Raises:
            ArtifactError: it is missing or damaged.
        """
        table, head = read_table(path, schema=_SCHEMA, version=_VERSION)
        return cls(table.astype(_COLUMNS), _strings(head["skipped"]), _strings(head["fallbacks"])), str(head["inputs"])


def _strings(value: Any) -> dict[str, str]:
    return {str(key): str(item) for key, item in dict(value).items()}
