"""Folds from the cohort table's own split column."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from tilewise.errors import FoldsError
from tilewise.folds import FoldItem, FoldsConfig, make_folds

FROM_SPLIT = FoldsConfig.model_validate({"source": "split"})
ITEMS = [FoldItem(f"s{i:02d}", "AB"[i % 2], f"g{i // 2:02d}", "test" if i >= 20 else "train") for i in range(30)]


def with_split(items: list[FoldItem], splits: dict[str, str | None]) -> list[FoldItem]:
    return [replace(item, split=splits.get(item.slide_id, item.split)) for item in items]


def test_test_part_is_the_tables_and_select_is_carved_from_train() -> None:
    folds = make_folds(ITEMS, FROM_SPLIT, seed=0)
    (fold,) = folds.folds
    assert fold.test == tuple(f"s{i}" for i in range(20, 30))
    assert (len(fold.train), len(fold.validation)) == (16, 4)
    assert folds.notes == ()
    none = make_folds(ITEMS, FoldsConfig.model_validate({"source": "split", "validation_fraction": 0}), seed=0)
    assert (len(none.folds[0].train), none.folds[0].validation) == (20, ())


@pytest.mark.parametrize("word", ["validation", "val", "Validation", " dev "])
def test_the_tables_own_select_and_holdout_are_taken(word: str) -> None:
    splits = {f"s{i:02d}": word for i in range(4)} | {"s28": "holdout", "s29": "holdout"}
    folds = make_folds(with_split(ITEMS, splits), FROM_SPLIT, seed=0)
    assert folds.folds[0].validation == ("s00", "s01", "s02", "s03")
    assert folds.holdout == ("s28", "s29")


def test_a_group_in_two_parts_keeps_its_last_use() -> None:
    splits = {"s00": "test", "s29": "holdout", "s02": "val", "s03": "test"}
    folds = make_folds(with_split(ITEMS, splits), FROM_SPLIT, seed=0)
    fold = folds.folds[0]
    assert "s00" in fold.test
    assert "s03" in fold.test
    assert folds.holdout == ("s29",)
    used = {*fold.train, *fold.validation, *fold.test, *folds.holdout}
    assert {item.slide_id for item in ITEMS} - used == {"s01", "s02", "s28"}
    assert folds.notes[0] == "group g00 has slides in test and elsewhere: s01 left out of the folds"


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"s03": None}, "slide s03 has no split in the table"),
        ({"s03": "fold2"}, "slide s03 has split 'fold2' in the table"),
        ({f"s{i}": "train" for i in range(20, 30)}, "leaves no labelled slide for test"),
        ({f"s{i:02d}": "test" for i in range(20)}, "leaves no labelled slide for train"),
    ],
)
def test_a_split_that_cannot_be_used_is_refused(splits: dict[str, str | None], message: str) -> None:
    with pytest.raises(FoldsError, match=message):
        make_folds(with_split(ITEMS, splits), FROM_SPLIT, seed=0)


@pytest.mark.real
def test_the_osteosarcoma_table(data_dir: Path) -> None:
    with (data_dir / "osteosarcoma" / "cohort.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    items = [FoldItem(row["slide"], row["label"], row["group"], row["split"]) for row in rows]
    (fold,) = make_folds(items, FROM_SPLIT, seed=0).folds
    assert fold.test == tuple(sorted(row["slide"] for row in rows if row["split"] == "test"))
    assert (len(fold.train), len(fold.validation), len(fold.test)) == (24, 6, 15)
    folds = make_folds(items, FoldsConfig(), seed=0)
    label_of = {item.slide_id: item.label for item in items}
    assert all(len({label_of[slide] for slide in fold.test}) == 3 for fold in folds.folds)
