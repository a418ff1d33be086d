"""The sentences of the first box: each where it holds, and only there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from tilewise.reporting.warnings import TRUTH_SCHEMA, Facts, drawn_cohort, report_warnings, without_mask
from tilewise.synthetic.truth import SCHEMA, TRUTH_FOLDER
from tilewise.tiles.tileset import TileSet


def _slides(use_mask: list[bool]) -> pd.DataFrame:
    names = [f"s{index}" for index in range(len(use_mask))]
    return pd.DataFrame({"slide": names, "use_mask": use_mask, "split": None})


def _tiles(regions: dict[str, str], skipped: tuple[str, ...] = ()) -> TileSet:
    table = pd.DataFrame([(name, region) for name, region in regions.items() for _ in range(3)])
    table.columns = ["slide", "region"]
    fallbacks = {name: "no mask" for name, region in regions.items() if region != "mask"}
    return TileSet(table, dict.fromkeys(skipped, "no mask"), fallbacks)


@pytest.fixture
def facts(tmp_path: Path) -> Facts:
    """A run that needs no caveat."""
    folds: Any = SimpleNamespace(folds=(SimpleNamespace(validation=("s0",)), SimpleNamespace(validation=("s1",))))
    tiles = _tiles({"s0": "mask", "s1": "mask"})
    return Facts(tmp_path, {"weights": "abc"}, None, True, _slides([True, True]), tiles, folds)


def test_nothing_is_said_without_need(facts: Facts) -> None:
    assert report_warnings(facts) == ()


@pytest.mark.parametrize(
    ("change", "start"),
    [
        ({"encoder": {"weights": "random, seed 0"}}, "The encoder has random weights"),
        ({"has_groups": False}, "No patient or group column: every slide counts as its own patient."),
        ({"slides": _slides([True, True]).assign(split=["test", None])}, "The table's `split` column was not used"),
        ({"stain": "1 of 9 slides keeps its own colours."}, "1 of 9 slides keeps its own colours."),
        ({"num_lost": 1}, "1 picture is missing because its slide is not where"),
        ({"num_lost": 2}, "2 pictures are missing: slides are not where"),
    ],
)
def test_each_caveat(facts: Facts, change: dict[str, Any], start: str) -> None:
    (said,) = report_warnings(replace(facts, **change))
    assert said.startswith(start)


def test_a_split_that_was_used_is_no_caveat(facts: Facts) -> None:
    used = replace(facts, slides=facts.slides.assign(split="train"), split_from="split")
    assert report_warnings(used) == ()


def test_folds_without_a_select_part(facts: Facts) -> None:
    folds: Any = SimpleNamespace(folds=(SimpleNamespace(validation=()), SimpleNamespace(validation=("s1",))))
    assert report_warnings(replace(facts, folds=folds)) == (
        "Fold 0 has no validation part: training ran to its last epoch.",
    )


_WHY = "no usable mask (missing, empty, at fault or too small for a tile)"
_TISSUE = "cut from the tissue found by its colour instead"


@pytest.mark.parametrize(
    ("use_mask", "regions", "skipped", "said"),
    [
        ([True, True], {"s0": "mask", "s1": "mask"}, (), None),
        ([True, False], {"s0": "mask", "s1": "tissue"}, (), f"1 of 2 slides has {_WHY}: 1 {_TISSUE}."),
        (
            [False, False, True],
            {"s0": "tissue", "s1": "slide", "s2": "tissue"},
            (),
            f"3 of 3 slides have {_WHY}: 2 {_TISSUE}, 1 cut from the whole slide instead.",
        ),
        ([True, False], {"s0": "mask"}, ("s1",), f"1 of 2 slides has {_WHY}: 1 left out, without any tile."),
    ],
)
def test_slides_without_a_mask_that_can_be_used(
    use_mask: list[bool], regions: dict[str, str], skipped: tuple[str, ...], said: str | None
) -> None:
    assert without_mask(_slides(use_mask), _tiles(regions, skipped)) == ([said] if said else [])


def test_a_drawn_cohort_comes_first(facts: Facts) -> None:
    assert TRUTH_SCHEMA == SCHEMA
    folder = facts.root / TRUTH_FOLDER
    folder.mkdir()
    truth = {"schema": SCHEMA, "best_reachable": {"macro_f1": 0.88899}}
    (folder / "truth.json").write_text(json.dumps(truth), encoding="utf-8")
    said = report_warnings(replace(facts, has_groups=False))
    assert said[0].startswith("These slides were drawn by a computer; the labels mean nothing medical.")
    assert said[0].endswith("such slides is 0.889.")
    assert len(said) == 2


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"schema": "another"}', f'{{"schema": "{TRUTH_SCHEMA}"}}'])
def test_another_file_of_that_name_is_no_drawn_cohort(tmp_path: Path, text: str) -> None:
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth/truth.json").write_text(text, encoding="utf-8")
    assert drawn_cohort(tmp_path) == []
