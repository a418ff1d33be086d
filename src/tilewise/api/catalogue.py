"""The catalogue of encoders: what it lists, what a card says, and licences."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def encoders() -> list[dict[str, Any]]:
    """Every encoder of the catalogue: name, dimension, input, licence, and whether its weights are here."""
    from tilewise.encoders import encoder_table

    return encoder_table()


def encoder(name: str) -> dict[str, Any]:
    """One row of `encoders()` with the licence's text, and where its weights are looked for.

    Raises:
        UsageError: there is no such encoder; close names are named.
    """
    from tilewise.encoders import encoder_table, find_card, licence_text
    from tilewise.encoders.locate import weights_folders

    card = find_card(name)
    row = next(row for row in encoder_table() if row["name"] == card.name)
    places = [str(folder / f"{card.name}.safetensors") for folder in weights_folders()] if card.source else []
    return row | {"weights_looked_for": places, "licence_text": licence_text(card)}


def accept_licence(name: str) -> Path | None:
    """Remember that the licence of an encoder was read and accepted; returns where, None where none is asked for.

    Raises:
        UsageError: there is no such encoder.
    """
    from tilewise.encoders import accept_licence as accept
    from tilewise.encoders import find_card

    return accept(find_card(name))
