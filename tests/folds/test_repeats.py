"""Folds that are cut several times."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.artifacts import rewrite_json
from tests.folds.test_make import cohort, cohorts
from tilewise.errors import FoldsError
from tilewise.folds import FoldItem, Folds, FoldsConfig, make_folds


@settings(max_examples=40, deadline=None)
@given(items=cohorts(), num_repeats=st.integers(2, 4), holdout=st.sampled_from([0.0, 0.2]), seed=st.integers(0, 5))
def test_each_repeat_tests_every_slide_once_and_learns_nothing_of_its_group(
    items: list[FoldItem], num_repeats: int, holdout: float, seed: int
) -> None:
    config = FoldsConfig(num_folds=3, repeats=num_repeats, holdout_fraction=holdout)
    try:
        folds = make_folds(items, config, seed=seed)
    except FoldsError:
        return
    group_of = {item.slide_id: item.group_key for item in items}
    inside = {item.slide_id for item in items} - set(folds.holdout)
    assert (len(folds.folds), folds.num_repeats, folds.folds_per_repeat) == (3 * num_repeats, num_repeats, 3)
    for start in range(0, len(folds.folds), 3):
        tested = [name for fold in folds.folds[start : start + 3] for name in fold.test]
        assert sorted(tested) == sorted(inside)
    for fold in folds.folds:
        learnt = {group_of[name] for name in (*fold.train, *fold.validation)}
        assert learnt.isdisjoint(group_of[name] for name in fold.test)
        assert inside == {*fold.train, *fold.validation, *fold.test}


def test_the_first_repeat_is_the_run_without_repeats() -> None:
    items = cohort({"A": 30, "B": 20, "C": 8}, per_group=2)
    once, thrice = (make_folds(items, FoldsConfig(repeats=number), seed=3) for number in (1, 3))
    assert thrice.folds[:5] == once.folds
    tests = [frozenset(fold.test) for fold in thrice.folds]
    assert len(set(tests)) == 15
    assert "repeats" not in once.origin["config"]


def test_the_file_is_checked_repeat_by_repeat(tmp_path: Path) -> None:
    folds = make_folds(cohort({"A": 20, "B": 20}), FoldsConfig(num_folds=2, repeats=2), seed=0)
    path = tmp_path / "folds.json"
    folds.write(path)
    assert Folds.read(path) == folds
    data = json.loads(path.read_text())
    data["folds"][2]["test"] = data["folds"][3]["test"]
    data["folds"][2]["train"], data["folds"][2]["validation"] = (
        data["folds"][3]["train"],
        data["folds"][3]["validation"],
    )
    rewrite_json(path, {"folds": data["folds"]})
    with pytest.raises(FoldsError, match=r"more than once|same slides"):
        Folds.read(path)


@pytest.mark.parametrize(
    "options",
    [{"kind": "holdout"}, {"kind": "leave_one_out", "column": "site"}, {"source": "split"}],
    ids=["holdout", "leave_one_out", "split"],
)
def test_repeats_are_refused_where_nothing_is_cut_anew(options: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=r"folds\.repeats has no effect"):
        FoldsConfig.model_validate({**options, "repeats": 2})


# Slides of each class in 18 tissue blocks of 45 fields.
BLOCKS = (
    (0, 3, 0), (1, 1, 0), (1, 4, 0), (3, 1, 0), (0, 3, 0), (0, 2, 0), (0, 0, 1), (2, 0, 1), (0, 1, 1),
    (0, 0, 2), (0, 0, 1), (0, 0, 1), (0, 0, 1), (1, 0, 6), (1, 0, 1), (1, 0, 0), (3, 0, 0), (2, 0, 0),
)  # fmt: skip


def few_groups() -> list[FoldItem]:
    return [
        FoldItem(f"s{block:02d}-{label}{number}", label, f"g{block:02d}")
        for block, counts in enumerate(BLOCKS)
        for label, num_slides in zip("ABC", counts, strict=True)
        for number in range(num_slides)
    ]


@pytest.mark.parametrize("seed", range(3))
def test_few_groups_are_cut_otherwise_in_each_repeat(seed: int) -> None:
    config = FoldsConfig(repeats=3)
    once, thrice = make_folds(few_groups(), FoldsConfig(), seed=seed), make_folds(few_groups(), config, seed=seed)
    assert thrice.folds[:5] == once.folds
    assert thrice == make_folds(few_groups()[::-1], config, seed=seed)
    assert len({fold.test for fold in thrice.folds}) >= 14
    sizes = [[len(fold.test) for fold in thrice.folds[at : at + 5]] for at in (0, 5, 10)]
    assert max(max(one) - min(one) for one in sizes) <= 4


def test_where_groups_cannot_be_cut_otherwise_the_slides_are_named() -> None:
    items = [FoldItem(f"s{index}", "AB"[index % 2], f"g{index // 2}") for index in range(6)]
    folds = make_folds(items, FoldsConfig(num_folds=3, repeats=2), seed=0)
    assert folds.retested == {item.slide_id for item in items}
    assert make_folds(items, FoldsConfig(num_folds=3), seed=0).retested == frozenset()
