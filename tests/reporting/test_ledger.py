"""What was lost adds up, whatever was lost where."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from tilewise.reporting.data import DecisionRow, FailureRow, Ledger
from tilewise.reporting.ledger import make_ledgers
from tilewise.score_warnings import RunFacts
from tilewise.tiles.tileset import TileSet

FATES = (
    "scored", "holdout", "unreadable", "copy", "dropped without a word", "without a label", "without a tile", "failed",
    "trained on", "in no fold",
)  # fmt: skip
REASONS = {
    "unreadable": "could not be read", "copy": "dropped: exact-copy", "dropped without a word": "dropped",
    "without a label": "without a label", "without a tile": "yields no tile", "failed": "failed",
    "trained on": "learnt from, in no test part", "in no fold": "in no part of a fold",
}  # fmt: skip


def ledgers_of(fates: list[str]) -> Any:
    """Of a run in which slide `s<i>` met the i-th fate."""

    def met(*chosen: str) -> list[str]:
        return [f"s{number}" for number, fate in enumerate(fates) if fate in chosen]

    gone = met("unreadable", "copy", "dropped without a word")
    slides = pd.DataFrame({"slide": [f"s{n}" for n in range(len(fates)) if f"s{n}" not in gone]})
    slides["label"] = [None if name in met("without a label") else "A" for name in slides["slide"]]
    tiled = [name for name in slides["slide"] if name not in met("without a tile")]
    table = pd.DataFrame({"slide": [name for name in tiled for _ in range(3)], "scale": 0})
    tiles = TileSet(table, dict.fromkeys(met("without a tile"), "no mask"), {}, {name: {"blank": 2} for name in tiled})
    folds: Any = SimpleNamespace(
        items=[SimpleNamespace(slide_id=name) for name in met("scored", "holdout", "trained on")]
    )
    facts = RunFacts(Path(), {}, {}, slides, {"dropped": gone}, tiles, folds)
    rows = [(name, "test") for name in met("scored")] + [(name, "validation") for name in met("scored", "trained on")]
    rows += [(name, "holdout") for name in met("holdout")]
    predictions = pd.DataFrame(rows, columns=["slide", "part"]).assign(label="A", num_tiles=3)
    decisions = [DecisionRow(name, "exact-copy", "drop", "") for name in met("copy")]
    failures = [FailureRow(name, "audit", "") for name in met("unreadable")]
    failures += [FailureRow(name, "features", "") for name in met("failed")]
    return make_ledgers(facts, decisions, failures, predictions)


def adds_up(book: Ledger) -> bool:
    return book.first - sum(row.num for row in book.rows) == book.last


@given(st.lists(st.sampled_from(FATES), min_size=1, max_size=30))
def test_every_slide_and_tile_is_in_the_score_or_in_a_row(fates: list[str]) -> None:
    ledgers = ledgers_of(fates)
    assert adds_up(ledgers.slides)
    assert adds_up(ledgers.tiles)
    assert ledgers.slides.first == len(fates)
    assert ledgers.slides.last == fates.count("scored") + fates.count("holdout")
    assert {row.reason for row in ledgers.slides.rows} == {REASONS[fate] for fate in fates if fate in REASONS}
    assert ledgers.tiles.last == 3 * ledgers.slides.last
    for row in ledgers.slides.rows:
        assert all(REASONS[fates[int(name[1:])]] == row.reason for name in row.slides)


def test_the_first_reason_of_a_slide_counts() -> None:
    twice = [DecisionRow("s1", kind, "drop", "") for kind in ("ink", "blank")]
    slides = pd.DataFrame({"slide": ["s0"], "label": ["A"]})
    tiles = TileSet(pd.DataFrame({"slide": ["s0"], "scale": [0]}), {}, {})
    folds: Any = SimpleNamespace(items=[SimpleNamespace(slide_id="s0")])
    facts = RunFacts(Path(), {}, {}, slides, {"dropped": ["s1"]}, tiles, folds)
    predictions = pd.DataFrame({"slide": ["s0"], "part": ["test"], "label": ["A"], "num_tiles": [1]})
    ledgers = make_ledgers(facts, twice, [], predictions)
    assert [(row.reason, row.num) for row in ledgers.slides.rows] == [("dropped: ink", 1)]
