"""Labels and groups in, folds of three parts out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from tilewise.errors import FoldsError
from tilewise.folds.config import FoldsConfig
from tilewise.folds.describe import describe
from tilewise.folds.groups import GroupTable
from tilewise.folds.parts import Fold, FoldItem, Folds
from tilewise.folds.table_split import read_table_split
from tilewise.wording import count

_SHOWN_VALUES = 12
_HOLDOUT, _TEST, _SELECT = range(3)  # first number of a seed: no two cuts use the same random numbers


def make_folds(items: Iterable[FoldItem], config: FoldsConfig, *, seed: int) -> Folds:
    """Cut the labelled slides into folds; slides without a label are left out.

    Groups never fall into two parts of a fold, and every slide outside the hold-out is tested once in each repeat (kind
    kfold). Where a class has too few groups, `train` gets it first, then `test`, then `validation`, and the notes say
    what that means. The order of the slides does not matter, and the same seed gives the same folds; slides are
    stratified by the table's own labels, so that a label corrected by decision changes no fold.

    Raises:
        FoldsError: the cohort cannot be split as asked; names the class or slide and the next step.
    """
    items = sorted(items, key=lambda item: item.slide_id)
    _check_names(items)
    labelled = tuple(item for item in items if item.label is not None)
    num_unlabelled = len(items) - len(labelled)
    verb = "is" if num_unlabelled == 1 else "are"
    notes = [f"{count(num_unlabelled, 'slide')} without a label {verb} in no fold"] if num_unlabelled else []
    if config.source == "split":
        labelled, parts, more = read_table_split(labelled)
        notes += more
        _check_cohort(labelled)
        fold = parts.fold
        if not fold.validation:
            train, validation = _carve_validation(_only(labelled, fold.train), config, seed=(seed, _SELECT, 0))
            fold = Fold(train, validation, fold.test)
        folds, holdout = [fold], parts.holdout
    elif config.kind == "leave_one_out":
        _check_cohort(labelled)
        folds, more = _leave_one_out(labelled, config, seed=seed)
        notes, holdout = notes + more, ()
    else:
        _check_cohort(labelled)
        inner, holdout = _set_apart(GroupTable.of(labelled), config, seed=seed)
        folds = _kfold(inner, config, seed=seed) if config.kind == "kfold" else [_single(inner, config, seed=seed)]
    check_trainable(folds, labelled)
    notes += describe(folds, holdout, labelled, config)
    # Without repeats the file is that of versions which knew none.
    known = config.model_dump(mode="json", exclude={"repeats"} if config.repeats == 1 else None)
    origin = {"config": known, "seed": seed}
    return Folds(tuple(folds), holdout, tuple(notes), labelled, origin)


def _set_apart(table: GroupTable, config: FoldsConfig, *, seed: int) -> tuple[GroupTable, tuple[str, ...]]:
    """The slides of the folds, and the hold-out; the folds keep two groups of each class, to train on and to test."""
    folds_needed = config.num_folds if config.kind == "kfold" else 3
    if config.kind == "kfold":
        check_num_folds(table.num_groups, config)
    if config.holdout_fraction == 0.0:
        return table, ()
    if table.num_groups <= folds_needed:
        raise FoldsError(
            f"{table.num_groups} groups cannot make {folds_needed} parts to test and a hold-out; "
            "use --set folds.holdout_fraction=0"
        )
    inner = table.rule(1.0 - config.holdout_fraction, least=2, least_in_all=max(3, folds_needed), priority=1)
    outer = table.rule(config.holdout_fraction, least=1, least_in_all=1, priority=0)
    inner_table, holdout = table.split((inner, outer), seed=(seed, _HOLDOUT))
    return inner_table, holdout.slide_ids


def check_num_folds(num_groups: int, config: FoldsConfig) -> None:
    """Refuse more folds than there are groups of labelled slides.

    Raises:
        FoldsError: says how many there can be.
    """
    if config.kind == "kfold" and config.source is None and num_groups < config.num_folds:
        raise FoldsError(
            f"{num_groups} groups cannot make {config.num_folds} folds; use --set folds.num_folds={num_groups} or fewer"
        )


def _kfold(table: GroupTable, config: FoldsConfig, *, seed: int) -> list[Fold]:
    # No fold may test all groups of a class, as long as there are two: it could not be learnt.
    rule = table.rule(1.0 / config.num_folds, least=1, least_in_all=1, priority=0, spare=1)
    tests: list[GroupTable] = []
    for repeat in range(config.repeats):
        numbers = (seed, _TEST, repeat) if repeat else (seed, _TEST)
        tests += table.split((rule,) * config.num_folds, seed=numbers, earlier=tests)
    folds = []
    for number, test in enumerate(tests):
        train, validation = _carve_validation(table.without(test), config, seed=(seed, _SELECT, number))
        folds.append(Fold(train, validation, test.slide_ids))
    return folds


def _leave_one_out(items: Sequence[FoldItem], config: FoldsConfig, *, seed: int) -> tuple[list[Fold], list[str]]:
    """A fold for each value of the column, which tests its slides and learns from groups that have none of them."""
    missing = [item.slide_id for item in items if item.column_value is None]
    if missing:
        raise FoldsError(
            f"slide {missing[0]}, and {len(missing) - 1} others, have nothing in the table's column "
            f"{config.column!r}; fill it in, or name another with --set folds.column"
        )
    values = sorted({str(item.column_value) for item in items})
    if len(values) < 2:
        raise FoldsError(
            f"the table's column {config.column!r} is {values[0]!r} everywhere, so there is nothing to learn from when "
            "it is left out; use --set folds.kind=kfold"
        )
    table, folds = GroupTable.of(items), []
    for number, value in enumerate(values):
        test = tuple(item.slide_id for item in items if item.column_value == value)
        others = GroupTable(tuple(group for group in table.members if all(one.column_value != value for one in group)))
        if others.num_groups < 2:
            raise FoldsError(
                f"without the groups of {config.column} {value!r} there are not two left to learn from; correct the "
                "group column, or use --set folds.kind=kfold"
            )
        train, validation = _carve_validation(others, config, seed=(seed, _SELECT, number))
        folds.append(Fold(train, validation, test))
    listed = ", ".join(f"fold {number} {value!r}" for number, value in enumerate(values[:_SHOWN_VALUES]))
    rest = f" and {len(values) - _SHOWN_VALUES} more" if len(values) > _SHOWN_VALUES else ""
    notes = [f"each fold tests one {config.column} that it has not learnt from: {listed}{rest}"]
    mixed = [group for group in table.members if len({item.column_value for item in group}) > 1]
    if mixed:
        notes.append(
            f"{count(len(mixed), 'group')} with slides of more than one {config.column}: while one is tested, the "
            "others are in no part"
        )
    return folds, notes


def _single(table: GroupTable, config: FoldsConfig, *, seed: int) -> Fold:
    rest = 1.0 - config.test_fraction
    rules = [
        table.rule(rest * (1.0 - config.validation_fraction), least=1, least_in_all=1, priority=2),
        table.rule(config.test_fraction, least=1, least_in_all=1, priority=1),
    ]
    if config.validation_fraction > 0.0:
        rules.append(table.rule(rest * config.validation_fraction, least=1, least_in_all=1, priority=0))
    train, test, *validation = table.split(tuple(rules), seed=(seed, _TEST))
    return Fold(train.slide_ids, validation[0].slide_ids if validation else (), test.slide_ids)


def _carve_validation(
    table: GroupTable, config: FoldsConfig, *, seed: tuple[int, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Train and validation, from what is not tested."""
    if config.validation_fraction == 0.0:
        return table.slide_ids, ()
    rules = (
        table.rule(1.0 - config.validation_fraction, least=1, least_in_all=1, priority=1),
        table.rule(config.validation_fraction, least=1, least_in_all=1, priority=0),
    )
    train, validation = table.split(rules, seed=seed)
    return train.slide_ids, validation.slide_ids


def _only(items: Sequence[FoldItem], slide_ids: tuple[str, ...]) -> GroupTable:
    wanted = set(slide_ids)
    return GroupTable.of([item for item in items if item.slide_id in wanted])


def _check_names(items: Sequence[FoldItem]) -> None:
    repeated = [name for name, count in Counter(item.slide_id for item in items).items() if count > 1]
    if repeated:
        raise FoldsError(f"slide {repeated[0]} is in the cohort more than once; keep one row of it in the table")


def _check_cohort(items: Sequence[FoldItem]) -> None:
    if not items:
        raise FoldsError("no slide has a label, so there is nothing to learn from; give a table with labels")
    classes = {item.label for item in items}
    if len(classes) == 1:
        raise FoldsError(
            f"all {len(items)} labelled slides are {items[0].label!r}; a classifier needs slides of a second class"
        )
    num_groups = len({item.group_key for item in items})
    if num_groups < 3:
        raise FoldsError(
            f"{num_groups} groups cannot make the parts train, validation and test; label slides of at least 3 groups, "
            "or correct the group column"
        )


def check_trainable(folds: Sequence[Fold], items: Sequence[FoldItem]) -> None:
    """Refuse folds that leave one class to train on.

    Raises:
        FoldsError: names the fold and the class.
    """
    label_of = {item.slide_id: item.label for item in items}
    for number, fold in enumerate(folds):
        labels = {label_of[slide] for slide in fold.train}
        if len(labels) < 2:
            missing = sorted({str(label) for label in label_of.values()} - {str(label) for label in labels})
            raise FoldsError(
                f"fold {number} would train on one class: {', '.join(map(repr, missing))} has too few groups to be "
                "trained on and tested; add slides of another group of it, or correct the group column"
            )


def derived_seed(seed: int, *numbers: int) -> int:
    """A seed, 63 bits, that depends on the run's and on these numbers, such as that of a fold, alone."""
    return int(np.random.SeedSequence([seed, *numbers]).generate_state(1, np.uint64)[0] >> np.uint64(1))
