"""What a machine has: the catalogue of encoders, weights, licences, extras."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tilewise.encoders.fetch import FetchedWeights
    from tilewise.pipeline.doctor import Check


def encoders() -> list[dict[str, Any]]:
    """Every encoder of the catalogue: name, dimension, input, licence, and whether its weights are here.

    Example:
        >>> [row["name"] for row in tw.api.encoders() if row["weights"] == "embedded"][:1]
        ['texture']
    """
    from tilewise.encoders import encoder_table

    return encoder_table()


def encoder(name: str) -> dict[str, Any]:
    """One row of `encoders()` with the licence's text, and where its weights are looked for.

    Raises:
        UsageError: there is no such encoder; close names are named.

    Example:
        >>> tw.api.encoder("texture")["licence"]
        'Apache-2.0'
    """
    from tilewise.encoders import encoder_table, find_card, licence_text
    from tilewise.encoders.find_weights import weights_folders

    card = find_card(name)
    row = next(row for row in encoder_table() if row["name"] == card.name)
    places = [str(folder / f"{card.name}.safetensors") for folder in weights_folders()] if card.source else []
    return row | {"weights_looked_for": places, "licence_text": licence_text(card)}


def fetch_weights(name: str) -> FetchedWeights:
    """Get the weights of an encoder, where they are not on this machine, and check their digest.

    Raises:
        UsageError: there is no such encoder.
        LicenceNotAccepted: its licence has to be read and accepted first.
        EncoderUnavailable: it has no trained weights, they cannot be fetched, or the file is another one.
    """
    from tilewise.encoders import fetch_weights as fetch
    from tilewise.encoders import find_card

    return fetch(find_card(name))


def accept_licence(name: str) -> Path | None:
    """Remember that the licence of an encoder was read and accepted; returns where, None where none is asked for.

    Raises:
        UsageError: there is no such encoder.
    """
    from tilewise.encoders import accept_licence as accept
    from tilewise.encoders import find_card

    return accept(find_card(name))


def doctor(*, measure: bool = False) -> tuple[Check, ...]:
    """Look at processors, memory, cache, extras and weights; nothing is fetched or changed.

    Args:
        measure: time the default recipe's network with every engine, which takes seconds.

    Example:
        >>> [check.name for check in tw.api.doctor() if check.state == "fault"]
        []
    """
    from tilewise.pipeline.doctor import examine_machine

    return examine_machine(measure=measure)
