"""What could not be split as asked, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tilewise.folds.config import FoldsConfig
from tilewise.folds.parts import PART_NAMES, Fold, FoldItem
from tilewise.wording import count


@dataclass(frozen=True)
class _Class:
    name: str
    slides: frozenset[str]
    num_groups: int

    def __str__(self) -> str:
        return f"class {self.name} has {count(self.num_groups, 'group')} ({count(len(self.slides), 'slide')})"


def describe(
    folds: Sequence[Fold], holdout: Sequence[str], items: Sequence[FoldItem], config: FoldsConfig
) -> list[str]:
    """One note per class a part lacks, per part that is empty, and one where parts differ much in size."""
    inner = [item for item in items if item.slide_id not in set(holdout)]
    notes = []
    for one in _classes(inner):
        notes += _rare(one, folds, config)
    notes += [
        f"class {one.name} is in no slide of the folds, only in the hold-out: it cannot be learnt or tested"
        for one in _classes([item for item in items if item.slide_id in set(holdout)])
        if not any(one.name == item.label for item in inner)
    ]
    if holdout:
        notes += [
            f"{one} in all: none is in the hold-out, so its score there is not known"
            for one in _classes(items)
            if not one.slides & set(holdout)
        ]
    notes += _empty_validation(folds, config)
    return notes + _uneven(folds)


def _rare(one: _Class, folds: Sequence[Fold], config: FoldsConfig) -> list[str]:
    lacks = {
        part: [number for number, fold in enumerate(folds) if not one.slides & set(fold.part(part))]
        for part in PART_NAMES
    }
    untrained = [number for number in lacks["train"] if number not in lacks["test"]]
    notes = []
    if untrained:
        notes.append(
            f"{one}, which can only be trained on or tested: {_folds(untrained)} {_verb(untrained, 'test')} it without "
            "having trained on it, so its score says nothing"
        )
    if lacks["test"]:
        step = (
            f"; --set folds.num_folds={one.num_groups} would test it in each"
            if 1 < one.num_groups < config.num_folds and config.kind == "kfold"
            else ""
        )
        whole = " for " + count(len(folds), "fold") if len(folds) > 1 else ""
        notes.append(f"{one}{whole}: {_folds(lacks['test'])} {_verb(lacks['test'], 'test')} none of it{step}")
    unselected = [number for number in lacks["validation"] if folds[number].validation]
    if unselected:
        notes.append(
            f"{one}: {_folds(unselected)} {_verb(unselected, 'have', 'has')} none of it in validation, so it has no "
            "say in when training stops"
        )
    return notes


def _empty_validation(folds: Sequence[Fold], config: FoldsConfig) -> list[str]:
    empty = [number for number, fold in enumerate(folds) if not fold.validation]
    if not empty:
        return []
    why = "as asked (folds.validation_fraction=0)" if config.validation_fraction == 0.0 else "for want of groups"
    return [
        f"{_folds(empty)} {_verb(empty, 'have', 'has')} no validation part, {why}: nothing stops training early there"
    ]


def _uneven(folds: Sequence[Fold]) -> list[str]:
    sizes = [len(fold.test) for fold in folds]
    if max(sizes) <= 2 * min(sizes):
        return []
    return [f"groups are large or few: the test parts hold {min(sizes)} to {max(sizes)} slides"]


def _classes(items: Sequence[FoldItem]) -> list[_Class]:
    by_label: dict[str, list[FoldItem]] = {}
    for item in items:
        by_label.setdefault(str(item.label), []).append(item)
    return [
        _Class(name, frozenset(i.slide_id for i in members), len({i.group_key for i in members}))
        for name, members in sorted(by_label.items())
    ]


def _folds(numbers: Sequence[int]) -> str:
    return f"fold{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def _verb(numbers: Sequence[int], plural: str, singular: str | None = None) -> str:
    return plural if len(numbers) > 1 else singular or plural + "s"
