"""The cohort table's own split: train, test, and where it has them validation and hold-out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tilewise.errors import FoldsError
from tilewise.folds.parts import Fold, FoldItem

_SPELLINGS = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
    "holdout": ("holdout", "hold-out"),
}
_PART_OF = {spelling: part for part, spellings in _SPELLINGS.items() for spelling in spellings}
# What a group is kept in when the table has it in several parts: the later use of a slide wins, training loses.
_PRECEDENCE = ("holdout", "test", "validation", "train")


@dataclass(frozen=True)
class TableSplit:
    """The one fold of a table's split column (validation may be empty), and its hold-out."""

    fold: Fold
    holdout: tuple[str, ...]


def read_table_split(items: Sequence[FoldItem]) -> tuple[tuple[FoldItem, ...], TableSplit, list[str]]:
    """The slides that can be used, their parts, and what had to be left out.

    A group that the table puts into two parts (the audit may have found two slides to be copies) keeps its slides in
    the part that is used last (hold-out, test, validation), and its slides in the earlier parts are left out.

    Raises:
        FoldsError: a slide has no split or an unknown one, or train or test is empty.
    """
    part_of = {item.slide_id: _part(item) for item in items}
    part_of_group: dict[tuple[str, str], str] = {}
    for item in items:
        parts = (part_of_group.get(item.group_key, "train"), part_of[item.slide_id])
        part_of_group[item.group_key] = min(parts, key=_PRECEDENCE.index)
    used = tuple(item for item in items if part_of[item.slide_id] == part_of_group[item.group_key])
    split = {
        part: tuple(sorted(item.slide_id for item in used if part_of[item.slide_id] == part)) for part in _SPELLINGS
    }
    notes = _split_groups(items, part_of, part_of_group)
    for part in ("train", "test"):
        if not split[part]:
            because = f" ({'; '.join(notes)})" if notes else ""
            raise FoldsError(
                f"the table's split column leaves no labelled slide for {part}{because}; "
                "correct it, or drop `folds.source` to have folds made"
            )
    fold = Fold(split["train"], split["validation"], split["test"])
    return tuple(replace(item, split=None) for item in used), TableSplit(fold, split["holdout"]), notes


def _part(item: FoldItem) -> str:
    part = _PART_OF.get((item.split or "").strip().lower())
    if part is None:
        problem = "has no split" if not item.split else f"has split {item.split!r}"
        raise FoldsError(
            f"slide {item.slide_id} {problem} in the table; write train, validation, test or holdout, "
            "or drop `folds.source` to have folds made"
        )
    return part


def _split_groups(
    items: Sequence[FoldItem], part_of: dict[str, str], part_of_group: dict[tuple[str, str], str]
) -> list[str]:
    notes = []
    for key, part in sorted(part_of_group.items()):
        gone = [i.slide_id for i in items if i.group_key == key and part_of[i.slide_id] != part]
        if gone:
            notes.append(f"group {key[1]} has slides in {part} and elsewhere: {', '.join(gone)} left out of the folds")
    return notes
