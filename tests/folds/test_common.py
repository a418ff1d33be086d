"""The same folds for runs that do not have quite the same slides."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.folds.test_make import cohort, cohorts
from tilewise.errors import FoldsError
from tilewise.folds import FoldItem, FoldsConfig, make_folds
from tilewise.folds.common import join_items, restrict


def test_what_any_run_keeps_together_is_together_for_all():
    first = [FoldItem("a", "X", "g1"), FoldItem("b", "X", "g1"), FoldItem("c", "Y"), FoldItem("d", "Y")]
    second = [FoldItem("b", "X", "g2"), FoldItem("c", "Y", "g2"), FoldItem("e", "Y")]
    joined = {item.slide_id: item.group for item in join_items([first, second])}
    assert joined["a"] == joined["b"] == joined["c"] == "g1"
    assert joined["d"] is None
    assert joined["e"] is None


def test_two_labels_of_a_slide_cannot_be_compared():
    with pytest.raises(FoldsError, match="a is 'X' in one variant and 'Y' in another"):
        join_items([[FoldItem("a", "X")], [FoldItem("a", "Y")]])


@settings(max_examples=60, deadline=None)
@given(items=cohorts(), gone=st.sets(st.integers(0, 60), max_size=6), seed=st.integers(0, 3))
def test_a_slide_stays_in_its_part_whatever_else_goes(items, gone, seed):
    try:
        folds = make_folds(items, FoldsConfig(num_folds=2, holdout_fraction=0.2), seed=seed)
        included = [item for number, item in enumerate(items) if number not in gone]
        fewer = restrict(folds, included)
    except FoldsError:
        return
    names = {item.slide_id for item in included}
    assert {item.slide_id for item in fewer.items} == names
    assert set(fewer.holdout) == set(folds.holdout) & names
    for before, after in zip(folds.folds, fewer.folds, strict=True):
        for part in ("train", "validation", "test"):
            assert set(after.part(part)) == set(before.part(part)) & names


def test_a_fold_of_one_class_is_refused():
    items = cohort({"A": 6, "B": 6})
    folds = make_folds(items, FoldsConfig(num_folds=3), seed=0)
    train = set(folds.folds[0].train)
    one_class = [item for item in items if item.label == "A" or item.slide_id not in train]
    with pytest.raises(FoldsError, match="fold 0 would train on one class"):
        restrict(folds, one_class)


def test_a_slide_that_no_run_had_is_refused():
    folds = make_folds(cohort({"A": 6, "B": 6}), FoldsConfig(num_folds=3), seed=0)
    with pytest.raises(FoldsError, match="new is not in the folds"):
        restrict(folds, [*folds.items, FoldItem("new", "A")])


def test_all_slides_leave_the_folds_as_they_are():
    items = cohort({"A": 6, "B": 6})
    folds = make_folds(items, FoldsConfig(num_folds=3), seed=0)
    assert restrict(folds, items) is folds
