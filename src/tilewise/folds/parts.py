"""The nouns of the fold file: slides to be split, folds of three parts, and the file itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tilewise.cohort.identifiers import means_missing, same_name
from tilewise.cohort.table import GROUP_NAMES
from tilewise.errors import ArtifactError, FoldsError
from tilewise.store import read_json, write_json

if TYPE_CHECKING:
    from tilewise.auditing.cohort import AuditedCohort, AuditedSlide

_SCHEMA = "tilewise.folds"
_VERSION = 1

PartName = Literal["train", "validation", "test"]
PART_NAMES: tuple[PartName, ...] = ("train", "validation", "test")


@dataclass(frozen=True, order=True)
class FoldItem:
    """One slide as the folds see it. Slides with the same `group` stay together; None is a group of its own.

    `column_value` is that of the table's column `folds.column`, which may be that of the groups; `table_label` is the
    label that the table has where a decision gave the slide another one. Neither takes part in comparisons, as no file
    holds them.
    """

    slide_id: str
    label: str | None
    group: str | None = None
    split: str | None = None
    column_value: str | None = field(default=None, compare=False)
    table_label: str | None = field(default=None, compare=False)

    @classmethod
    def of(cls, item: AuditedSlide, column: str | None = None, table_label: str | None = None) -> FoldItem:
        """An audited slide."""
        value = same_name(_cell(item, column)) if column is not None else ""
        known = value if value and not means_missing(value) else None
        return cls(item.slide_id, item.slide.label, item.group, item.slide.split, known, table_label)

    @classmethod
    def of_cohort(cls, audited: AuditedCohort, column: str | None = None) -> list[FoldItem]:
        """All slides of an audited cohort, in its order."""
        relabelled = audited.relabelled
        return [cls.of(item, column, relabelled.get(item.slide_id)) for item in audited.slides]

    @property
    def stratum(self) -> str:
        """The class whose share every part gets: the table's own, so that a corrected label moves no slide."""
        return str(self.label if self.table_label is None else self.table_label)

    @property
    def group_key(self) -> tuple[str, str]:
        """What stays together; a slide without a group cannot collide with a group of the same name."""
        return ("slide", self.slide_id) if self.group is None else ("group", self.group)


@dataclass(frozen=True)
class Fold:
    """One fold: `train` learns, `validation` stops training, `test` is predicted once. Slide ids, sorted."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def part(self, name: PartName) -> tuple[str, ...]:
        """The slides of one part."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]


@dataclass(frozen=True)
class Folds:
    """All folds of a run, the slides set apart from them, and what could not be done as asked.

    `items` are the labelled slides the folds were cut from, sorted by id; `origin` is the config and seed that made
    the folds. Folds count from 0, as the folders of a run do; those of one repeat follow each other.
    """

    folds: tuple[Fold, ...]
    holdout: tuple[str, ...]
    notes: tuple[str, ...]
    items: tuple[FoldItem, ...]
    origin: Mapping[str, Any]

    def __post_init__(self) -> None:
        self._check()

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels that occur, sorted."""
        return tuple(sorted({str(item.label) for item in self.items}))

    @property
    def never_trained(self) -> frozenset[str]:
        """Slides that are in no train or validation part: of a hold-out, or of the one test part."""
        learnt = {name for fold in self.folds for name in (*fold.train, *fold.validation)}
        return frozenset(item.slide_id for item in self.items) - learnt

    @cached_property
    def testing(self) -> Mapping[str, tuple[int, ...]]:
        """Slide -> the folds that test it, one of each repeat; slides of the hold-out have none."""
        numbers: dict[str, tuple[int, ...]] = {}
        for number, fold in enumerate(self.folds):
            numbers |= {name: (*numbers.get(name, ()), number) for name in fold.test}
        return numbers

    @property
    def num_repeats(self) -> int:
        """How often the slides were cut into folds."""
        return int(self.origin.get("config", {}).get("repeats", 1))

    @property
    def folds_per_repeat(self) -> int:
        """Folds that test every slide once."""
        return len(self.folds) // self.num_repeats

    @property
    def retested(self) -> frozenset[str]:
        """Slides that are tested with exactly the same others in several repeats."""
        times = Counter(fold.test for fold in self.folds)
        return frozenset(name for test, number in times.items() if number > 1 for name in test)

    def write(self, path: Path) -> None:
        """Write the fold file (JSON, atomic; the same folds give the same bytes)."""
        payload = {
            "origin": dict(self.origin),
            "slides": {item.slide_id: {"label": item.label, "group": item.group} for item in self.items},
            "folds": [{name: fold.part(name) for name in PART_NAMES} for fold in self.folds],
            "holdout": self.holdout,
            "notes": self.notes,
        }
        write_json(path, payload, schema=_SCHEMA, version=_VERSION)

    @classmethod
    def read(cls, path: Path) -> Folds:
        """Read a fold file and check it as a new one is checked.

        Raises:
            ArtifactError: the file is missing or is no fold file.
            FoldsError: two parts of a fold share a slide or a group, or a slide is not known.
        """
        data = read_json(path, schema=_SCHEMA, version=_VERSION)
        try:
            return cls(
                folds=tuple(Fold(*(_names(fold[name]) for name in PART_NAMES)) for fold in data["folds"]),
                holdout=_names(data["holdout"]),
                notes=_names(data["notes"]),
                items=tuple(FoldItem(name, slide["label"], slide["group"]) for name, slide in data["slides"].items()),
                origin=dict(data["origin"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ArtifactError(f"{path} is not a whole fold file ({error!r}); delete it and run again") from error

    def _check(self) -> None:
        key_of = {item.slide_id: item.group_key for item in self.items}
        for number, fold in enumerate(self.folds):
            parts = {name: fold.part(name) for name in PART_NAMES} | {"holdout": self.holdout}
            _check_parts(f"fold {number}", parts, key_of)
        num = max(1, self.folds_per_repeat)
        tests = [
            [name for fold in self.folds[at : at + num] for name in fold.test] for at in range(0, len(self.folds), num)
        ]
        if len({frozenset(names) for names in tests}) > 1:
            raise FoldsError("the repeats of the folds do not test the same slides; make the folds again")
        for what, names in [("holdout", self.holdout), *(("the test parts", names) for names in tests)]:
            repeated = [name for name, count in Counter(names).items() if count > 1]
            if repeated:
                raise FoldsError(f"{what} of the folds hold {_some(repeated)} more than once; make the folds again")


def _check_parts(where: str, parts: Mapping[str, Sequence[str]], key_of: Mapping[str, tuple[str, str]]) -> None:
    for name, slides in parts.items():
        unknown = [slide for slide in slides if slide not in key_of]
        if unknown:
            raise FoldsError(f"{where}: {name} holds {_some(unknown)}, which the cohort does not know; make them again")
    for first, second in combinations(parts, 2):
        shared = set(parts[first]) & set(parts[second])
        if shared:
            raise FoldsError(f"{where}: {_some(sorted(shared))} is in {first} and in {second}; make the folds again")
        groups = {key_of[slide] for slide in parts[first]} & {key_of[slide] for slide in parts[second]}
        if groups:
            named = _some(sorted(name for _, name in groups))
            raise FoldsError(f"{where}: group {named} is in {first} and in {second}; make the folds again")


def _cell(item: AuditedSlide, column: str) -> str:
    # The column that became the group is none of the further ones.
    if column not in item.slide.extra and column.casefold() in GROUP_NAMES:
        return item.slide.group or ""
    return str(item.slide.extra.get(column, ""))


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise TypeError(f"a list of names was expected, not {value!r:.60}")
    return tuple(value)


def _some(names: Sequence[str], limit: int = 5) -> str:
    """The first names, and how many more there are."""
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")
