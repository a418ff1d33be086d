"""The submission table: one row per slide, in the contract's format."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from tilewise.store import write_text

HEADER = ("sample_index", "label")


def write_submission(path: Path, rows: Iterable[tuple[str, str]]) -> None:
    """Write `sample_index,label` rows in the given order, spelled as given, with Unix newlines."""
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(HEADER)
    table.writerows(rows)
    write_text(path, buffer.getvalue())
