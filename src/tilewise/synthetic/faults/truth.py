"""The truth about planted faults: one row for each slide and kind."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tilewise.errors import UsageError

FAULTS_FILE = "faults.csv"
_COLUMNS = ("slide", "kind", "other", "family", "held_out", "details")


@dataclass(frozen=True)
class PlantedFault:
    """One thing that is wrong, or only looks wrong, with a slide.

    Attributes:
        slide: its id.
        kind: as in findings of the audit, and `same-outline`: two slides that are no pair.
        other: the second slide of a relation, always a clean one; else empty.
        family: of the look or the way it was done.
        held_out: of a family that no detector may be tuned on.
        details: what exactly was done. `implied` is true where the row only follows from another row of the slide, so
            that finding it is right and missing it is no fault.
    """

    slide: str
    kind: str
    other: str = ""
    family: str = ""
    held_out: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain values by column."""
        return {name: getattr(self, name) for name in _COLUMNS} | {"details": dict(self.details)}


def faults_csv(faults: Iterable[PlantedFault]) -> str:
    """The content of `truth/faults.csv`."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for fault in faults:
        row = fault.as_json() | {
            "held_out": int(fault.held_out),
            "details": json.dumps(dict(fault.details), sort_keys=True),
        }
        writer.writerow([row[name] for name in _COLUMNS])
    return buffer.getvalue()


def read_faults(root: Path) -> list[PlantedFault]:
    """The faults planted in a synthetic cohort.

    Args:
        root: the cohort's folder.

    Raises:
        UsageError: there is no truth about faults.
    """
    path = root / "truth" / FAULTS_FILE
    if not path.is_file():
        raise UsageError(f"{path} does not exist; draw the cohort with faults (`tilewise synth OUT --faults 10`)")
    with path.open(newline="", encoding="utf-8") as stream:
        return [
            PlantedFault(
                **{
                    **row,
                    "held_out": row["held_out"] == "1",
                    "details": json.loads(row["details"]),
                }
            )
            for row in csv.DictReader(stream)
        ]
