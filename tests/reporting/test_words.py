"""Decisions, layouts, tiles and paths in words."""

from __future__ import annotations

import numpy as np
import pytest

from tilewise.reporting.data import DecisionRow
from tilewise.reporting.describe import by_others, decision_groups, describe_layout
from tilewise.reporting.describe_tiles import describe_tiling, overlapping
from tilewise.reporting.text import without_folders
from tilewise.tiles.config import TileConfig


def test_equal_decisions_are_one_group() -> None:
    rows = [
        DecisionRow("a", "mask-missing", "fix-mask", "no mask", "tilewise"),
        DecisionRow("b", "exact-copy", "drop", "equals c", "tilewise"),
        DecisionRow("c", "mask-missing", "fix-mask", "no mask", "tilewise"),
    ]
    groups = decision_groups(rows, fallback="tissue")
    assert [(group.decision, group.slides) for group in groups] == [
        ("no mask; tissue instead", ("a", "c")),
        ("left out", ("b",)),
    ]
    assert not by_others(groups)
    assert by_others(decision_groups([DecisionRow("a", "x", "keep", "", "Ada")], fallback="tissue"))


@pytest.mark.parametrize(
    ("fallback", "words"),
    [
        ("tissue", "mask not used; tissue instead"),
        ("slide", "mask not used; whole slide instead"),
        ("exclude", "mask not used; slide left out"),
    ],
)
def test_a_mask_that_is_not_used(fallback: str, words: str) -> None:
    (group,) = decision_groups([DecisionRow("a", "mask-empty", "fix-mask", "")], fallback=fallback)
    assert group.decision == words


def test_a_new_label_is_named() -> None:
    (group,) = decision_groups([DecisionRow("a", "", "relabel", "", value="Luminal B")], fallback="tissue")
    assert group.decision == "relabelled as Luminal B"


def test_layouts() -> None:
    assert describe_layout("table", ("18 groups", "slides and labels from mine.tsv")) == "a table, mine.tsv"
    assert describe_layout("table", ()) == "a table of slides and labels"
    assert describe_layout("class folders", ()) == "one folder of slides per class"
    assert describe_layout("of tomorrow", ()) == "of tomorrow"


def test_tiles() -> None:
    assert describe_tiling(TileConfig(stride_px=64)) == (
        "Tiles are squares of 128 px on a grid of 64 px; at least 25 % of a tile lies under the mask. "
        "Where a mask cannot be used, tissue found by its colour stands in for it."
    )
    config = TileConfig(strategy="component_center", min_mask_ratio=0, max_tiles=9, fallback="exclude")
    assert describe_tiling(config) == (
        "One square tile of 128 px is centred on each region of the mask of 64 px up; the mask touches each tile. "
        "A slide has at most 9. A slide whose mask cannot be used is left out."
    )


@pytest.mark.parametrize(("second", "expected"), [((10, 0), False), ((9, 0), True), ((9, 10), False), ((9, 9), True)])
def test_overlapping(second: tuple[int, int], expected: bool) -> None:
    assert overlapping(np.array([(0, 0, 10, 10), (*second, 10, 10)])) is expected
    assert not overlapping(np.empty((0, 4), np.int64))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/home/ada/weights.pt", "weights.pt"),
        ("weights: /home/ada/weights.pt", "weights: weights.pt"),
        (r"C:\Users\Ada\weights.pt is gone", "weights.pt is gone"),
        ("'/data/c/img.png': cannot read", "'img.png': cannot read"),
        ("~/c/img.png", "img.png"),
        ("/data/c/sub/img.png, again", "sub/img.png, again"),
        ("images/img.png and 3/4", "images/img.png and 3/4"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        ("numpy 2.4.6", "numpy 2.4.6"),
    ],
)
def test_folders_are_not_shown(text: str, left: str) -> None:
    assert without_folders(text, "/data/c") == left
