"""The rows of `tilewise encoders`."""

from __future__ import annotations

import json

from tilewise.encoders import accept_licence, cards, encoder_table, find_card
from tilewise.store import cache_dir


def test_rows_are_json_and_complete() -> None:
    rows = encoder_table()
    assert [row["name"] for row in rows] == list(cards())
    assert json.loads(json.dumps(rows)) == rows
    assert {"name", "family", "dim", "input_px", "licence", "gated", "weights", "description"} <= rows[0].keys()


def test_weights_and_licences_of_this_machine() -> None:
    def row(name: str) -> dict[str, object]:
        return next(row for row in encoder_table() if row["name"] == name)

    assert row("texture")["weights"] == "embedded"
    assert row("simple_cnn")["weights"] == "random"
    assert row("kimianet")["weights"] == "missing"
    path = cache_dir() / "weights" / "kimianet.pth"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    assert (row("kimianet")["weights"], row("kimianet")["weights_path"]) == ("here", str(path))
    assert row("kimianet")["licence_accepted"] is False
    accept_licence(find_card("kimianet"))
    assert row("kimianet")["licence_accepted"] is True
    assert row("resnet50")["licence_accepted"] is True
