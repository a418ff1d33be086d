"""A fold for each value of a column of the table, such as the site."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from tilewise.cohort import Slide
from tilewise.errors import FoldsError
from tilewise.folds import FoldItem, Folds, FoldsConfig, make_folds

CONFIG = FoldsConfig(kind="leave_one_out", column="site")
SITES = ("Bonn", "Graz", "Lund")


def items(num_slides: int = 36) -> list[FoldItem]:
    return [
        FoldItem(f"s{index:03d}", "AB"[index % 2], f"g{index // 4}", None, SITES[index // 4 % 3])
        for index in range(num_slides)
    ]


def test_each_site_is_tested_by_the_fold_that_has_not_learnt_from_it(tmp_path):
    cohort = items()
    folds = make_folds(cohort, CONFIG, seed=0)
    site_of = {item.slide_id: item.column_value for item in cohort}
    assert len(folds.folds) == 3
    for fold, site in zip(folds.folds, SITES, strict=True):
        assert {site_of[name] for name in fold.test} == {site}
        assert site not in {site_of[name] for name in (*fold.train, *fold.validation)}
        assert fold.validation
        assert len(fold.train) + len(fold.validation) + len(fold.test) == 36
    assert "fold 0 'Bonn', fold 1 'Graz', fold 2 'Lund'" in folds.notes[0]
    folds.write(tmp_path / "folds.json")
    assert Folds.read(tmp_path / "folds.json") == folds


def test_a_group_of_two_sites_never_teaches_the_fold_that_tests_a_slide_of_it():
    cohort = items()
    cohort[0] = replace(cohort[0], group="g1")  # of Bonn, in a group of Graz
    folds = make_folds(cohort, CONFIG, seed=0)
    in_bonn = {name for part in ("train", "validation") for name in folds.folds[0].part(part)}
    assert in_bonn.isdisjoint({"s000", "s004", "s005", "s006", "s007"})
    assert "s000" in folds.folds[0].test
    assert {"s004", "s005", "s006", "s007"} <= set(folds.folds[1].test)
    assert "s000" not in {*folds.folds[1].train, *folds.folds[1].validation}
    assert any("1 group with slides of more than one site" in note for note in folds.notes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda item: replace(item, column_value=None), "nothing in the table's column 'site'"),
        (lambda item: replace(item, column_value="Bonn"), "is 'Bonn' everywhere"),
        (lambda item: replace(item, group=None, column_value=item.label), "would train on one class"),
        (lambda item: replace(item, group=item.column_value if item.column_value != "Lund" else "Graz"), "at least 3"),
    ],
)
def test_what_cannot_be_left_out_is_refused(change, message):
    with pytest.raises(FoldsError, match=message):
        make_folds([change(item) for item in items()], CONFIG, seed=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "leave_one_out"}, "needs a column"),
        ({"column": "site"}, "folds.column has no effect"),
        ({"kind": "leave_one_out", "column": "site", "num_folds": 3}, "folds.num_folds has no effect"),
        ({"kind": "leave_one_out", "column": "site", "holdout_fraction": 0.2}, "folds.holdout_fraction has no effect"),
        ({"source": "split", "kind": "leave_one_out", "column": "site"}, "folds.kind has no effect"),
    ],
)
def test_options_without_effect_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        FoldsConfig.model_validate(settings)


CELLS = (
    ("Bonn", "Bonn"),
    (" Bonn\u200b ", "Bonn"),
    (7, "7"),
    ("", None),
    (None, None),
    ("n/a", None),
    (math.nan, None),
)


@pytest.mark.parametrize(("cell", "value"), CELLS)
def test_cells_of_the_column(cell, value):
    slide = Slide("s.png", Path("s.png"), label="A", extra={"site": cell})
    audited = SimpleNamespace(slide_id="s.png", slide=slide, group="g")
    assert FoldItem.of(audited, "site").column_value == value
    assert FoldItem.of(audited, "scanner").column_value is None
    assert FoldItem.of(audited) == FoldItem("s.png", "A", "g")


@pytest.mark.parametrize("column", ["group", "Patient"])
def test_the_column_of_the_groups_can_be_left_out(column):
    slide = Slide("s.png", Path("s.png"), label="A", group="P1")
    audited = SimpleNamespace(slide_id="s.png", slide=slide, group="joined")
    assert FoldItem.of(audited, column).column_value == "P1"
    assert FoldItem.of(SimpleNamespace(slide_id="s.png", slide=replace(slide, group=None), group="s"), column) == (
        FoldItem("s.png", "A", "s")
    )
    further = SimpleNamespace(slide_id="s.png", slide=replace(slide, extra={column: "X"}), group="joined")
    assert FoldItem.of(further, column).column_value == "X"
