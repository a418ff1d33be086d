"""The files of a run as a report reads them."""

from __future__ import annotations

import contextlib
import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tilewise.errors import ArtifactError
from tilewise.evaluation.doubtful_labels import DoubtfulLabel
from tilewise.folds import PART_NAMES, Folds
from tilewise.reporting.data import PartSummary
from tilewise.reporting.text import without_folders


def parts_of(folds: Folds) -> tuple[PartSummary, ...]:
    """Every part of every fold, then the hold-out."""
    items = {item.slide_id: item for item in folds.items}

    def summary(fold: int | None, part: str, names: Iterable[str]) -> PartSummary:
        members = [items[name] for name in names]
        counts = Counter(str(item.label) for item in members)
        return PartSummary(
            fold, part, {name: counts[name] for name in folds.classes}, len({item.group_key for item in members})
        )

    parts = [summary(number, name, fold.part(name)) for number, fold in enumerate(folds.folds) for name in PART_NAMES]
    return (*parts, summary(None, "holdout", folds.holdout)) if folds.holdout else tuple(parts)


def public(value: Any, root: str) -> Any:
    """The same data without absolute paths in its texts."""
    if isinstance(value, Mapping):
        return {key: public(item, root) for key, item in value.items()}
    if isinstance(value, list):
        return [public(item, root) for item in value]
    return without_folders(value, root) if isinstance(value, str) else value


def text_of(path: Path) -> str:
    """The text of a file of the run."""
    with whole(path):
        return path.read_text("utf-8")


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a table of the run."""
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def doubtful_labels_of(path: Path) -> tuple[DoubtfulLabel, ...] | None:
    """The labels in doubt; None where the run has no such table."""
    if not path.is_file():
        return None
    with whole(path):
        return tuple(map(DoubtfulLabel.of_row, rows_of(path)))


@contextlib.contextmanager
def whole(path: Path) -> Iterator[None]:
    """Say which file of the run is missing or damaged, and what makes it again."""
    try:
        yield
    except (OSError, UnicodeDecodeError, KeyError, ValueError, TypeError, csv.Error) as error:
        raise ArtifactError(
            f"{path} is missing or damaged ({error!r}); give the `tilewise train` command of the run again: it makes "
            "what is not there and keeps the rest"
        ) from error
