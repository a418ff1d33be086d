"""The catalogue as rows, for `tilewise encoders`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tilewise.encoders.card import EncoderCard
from tilewise.encoders.catalogue import cards, plugin_cards
from tilewise.encoders.find_weights import local_weights
from tilewise.encoders.licences import licence_needed


def encoder_table() -> list[dict[str, Any]]:
    """Every encoder in the catalogue's order, then those of plugins, as JSON data; uses no network.

    `weights` is `embedded` (computed, needs none), `random` (only trained from scratch), `here` or `missing`.
    """
    return [_row(card) for card in (*cards().values(), *plugin_cards().values())]


def _row(card: EncoderCard) -> dict[str, Any]:
    path = local_weights(card) if card.is_network else None
    if not card.is_network:
        weights = "embedded"
    elif path is not None:
        weights = "here"
    else:
        weights = "missing" if card.source else "random"
    return {
        "name": card.name,
        "family": card.family,
        "dim": card.dim,
        "stages": [asdict(stage) | {"moments": list(stage.moments)} for stage in card.stages],
        "stages_dim": card.pooled("stages").dim if card.stages else None,
        "input_px": card.input_px,
        "mpp": card.mpp,
        "licence": card.licence,
        "gated": card.gated,
        "non_commercial": card.non_commercial,
        "licence_accepted": not licence_needed(card),
        "weights": weights,
        "weights_path": str(path) if path else None,
        "source": card.address,
        "revision": card.revision or None,
        "description": card.description,
        "citation": card.citation,
        "notes": card.notes,
    }
