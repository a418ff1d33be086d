"""Runs that cannot be combined are refused, and the message names run and slide."""

from dataclasses import replace

import pytest

from tests.ensemble.made import CLASSES, make_runs
from tilewise.ensemble.library import check_same
from tilewise.errors import ArtifactError, UsageError
from tilewise.folds import Fold, FoldItem
from tilewise.inference.predictions import Predictions


def two():
    return make_runs([1.0, 0.5], num_slides=24, holdout=6)


def with_folds(run, **changes):
    return replace(run, folds=replace(run.folds, **changes))


def swap(run, slide, other):
    """The run with two slides that have no group exchanged between train and test of fold 0."""
    items = tuple(FoldItem(item.slide_id, item.label, None) for item in run.folds.items)
    first = run.folds.folds[0]
    mine, yours = (tuple(sorted({*part} ^ {slide, other})) for part in (first.train, first.test))
    folds = (Fold(mine, first.validation, yours), *run.folds.folds[1:])
    # Its test part would then hold a slide of another fold's: that one is left out.
    folds = (folds[0], *(Fold(one.train, one.validation, tuple(set(one.test) - set(yours))) for one in folds[1:]))
    return with_folds(run, folds=folds, items=items)


def test_runs_of_the_same_folds_pass():
    check_same(two())


def test_one_run_is_none_to_combine():
    with pytest.raises(UsageError, match="two runs"):
        check_same(two()[:1])


def test_another_label_is_named():
    first, second = two()
    items = list(second.folds.items)
    items[3] = replace(items[3], label="A" if items[3].label != "A" else "B")
    with pytest.raises(UsageError, match=r"run1 cannot be combined with run0: slide s003 has the label"):
        check_same([first, with_folds(second, items=tuple(items))])


def test_another_group_is_named():
    first, second = two()
    items = tuple(replace(item, group=f"x{item.group}") if item.group else item for item in second.folds.items)
    with pytest.raises(UsageError, match="slide s000 has the group 'g0-0' in run0 and 'xg0-0' in run1"):
        check_same([first, with_folds(second, items=items)])


def test_a_slide_that_only_one_run_has_is_named():
    first, second = two()
    items, outside = second.folds.items[:-1], second.folds.holdout[:-1]
    with pytest.raises(UsageError, match="slide s023 is in the folds of run0 only"):
        check_same([first, with_folds(second, items=items, holdout=outside)])


def test_a_slide_in_another_part_is_named():
    first, second = two()
    bare = tuple(FoldItem(item.slide_id, item.label, None) for item in first.folds.items)
    one = second.folds.folds[0]
    with pytest.raises(
        UsageError, match=rf"slide {one.train[0]} is in train of fold 0 in run0 and in test of fold 0 in run1"
    ):
        check_same([with_folds(first, items=bare), swap(second, one.train[0], one.test[-1])])


def test_a_slide_that_only_one_run_holds_out_is_named():
    first, second = two()
    with pytest.raises(UsageError, match="slide s018 is in the hold-out in run0 and in the folds in run1"):
        check_same([first, with_folds(second, holdout=second.folds.holdout[1:])])


def test_another_number_of_folds_is_told():
    first, second = two()
    with pytest.raises(UsageError, match="run0 has 3 folds and run1 2"):
        check_same([first, with_folds(second, folds=second.folds.folds[:2])])


def test_predictions_that_lack_a_slide_are_damaged():
    first, second = two()
    fewer = replace(second, predictions=Predictions(second.predictions.table.iloc[1:], CLASSES))
    with pytest.raises(ArtifactError, match="run1"):
        check_same([first, fewer])
