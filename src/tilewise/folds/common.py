"""The same folds for runs that do not have quite the same slides.

Runs that audit or cut otherwise lose other slides. Their scores can only be compared when a slide that two of them have
is in the same part for both, and when slides that one of them keeps together are together for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from tilewise.errors import FoldsError
from tilewise.folds.make import check_trainable
from tilewise.folds.parts import Fold, FoldItem, Folds


def join_items(runs: Sequence[Iterable[FoldItem]]) -> list[FoldItem]:
    """Every slide that a run has, in groups that hold what any run keeps together; sorted by id.

    Raises:
        FoldsError: a slide has another label in two runs.
    """
    item_of: dict[str, FoldItem] = {}
    above: dict[tuple[str, str], tuple[str, str]] = {}

    def root(key: tuple[str, str]) -> tuple[str, str]:
        while (over := above.setdefault(key, key)) != key:
            above[key] = above[over]
            key = over
        return key

    for run in runs:
        for item in run:
            known = item_of.setdefault(item.slide_id, item)
            if known.label != item.label:
                raise FoldsError(
                    f"{item.slide_id} is {known.label!r} in one variant and {item.label!r} in another; they cannot be "
                    "compared. Give them the same decisions"
                )
            first, second = sorted((root(("slide", item.slide_id)), root(item.group_key)))
            above[second] = first
    members: dict[tuple[str, str], list[str]] = {}
    for name in sorted(item_of):
        members.setdefault(root(("slide", name)), []).append(name)
    joined = []
    for names in members.values():
        groups = sorted({str(item_of[name].group) for name in names if item_of[name].group is not None})
        group = groups[0] if groups else (names[0] if len(names) > 1 else None)
        joined += [replace(item_of[name], group=group) for name in names]
    return sorted(joined, key=lambda item: item.slide_id)


def restrict(folds: Folds, items: Iterable[FoldItem]) -> Folds:
    """The folds of these slides alone; each stays in the part, and in the group, that it is in.

    Raises:
        FoldsError: a slide is in no part, or a fold could not be trained on what is left.
    """
    wanted = {item.slide_id for item in items if item.label is not None}
    unknown = sorted(wanted - {item.slide_id for item in folds.items})
    if unknown:
        raise FoldsError(f"{unknown[0]} is not in the folds that this run shares with others; make the folds again")
    if len(wanted) == len(folds.items):
        return folds
    included = tuple(item for item in folds.items if item.slide_id in wanted)

    def only(names: Sequence[str]) -> tuple[str, ...]:
        return tuple(name for name in names if name in wanted)

    parts = tuple(Fold(only(fold.train), only(fold.validation), only(fold.test)) for fold in folds.folds)
    check_trainable(parts, included)
    note = f"{len(folds.items) - len(included)} slides of the folds that this run shares with others are not in it"
    return replace(folds, folds=parts, holdout=only(folds.holdout), items=included, notes=(*folds.notes, note))
