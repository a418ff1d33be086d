"""Encoders: a catalogue of cards, and what turns pixels into vectors.

Names are imported when they are first used, so that the recipe and the command line can know the config and the
catalogue without importing NumPy or torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tilewise.encoders.base import Encoder
    from tilewise.encoders.build import build_encoder
    from tilewise.encoders.card import EncoderCard
    from tilewise.encoders.catalogue import cards, find_card
    from tilewise.encoders.config import EncoderConfig
    from tilewise.encoders.fetch import fetch_weights
    from tilewise.encoders.licences import accept_licence, licence_needed, licence_text
    from tilewise.encoders.table import encoder_table

__all__ = [
    "Encoder",
    "EncoderCard",
    "EncoderConfig",
    "accept_licence",
    "build_encoder",
    "cards",
    "encoder_table",
    "fetch_weights",
    "find_card",
    "licence_needed",
    "licence_text",
]

_HOMES = {
    "Encoder": "base",
    "EncoderCard": "card",
    "EncoderConfig": "config",
    "accept_licence": "licences",
    "build_encoder": "build",
    "cards": "catalogue",
    "encoder_table": "table",
    "fetch_weights": "fetch",
    "find_card": "catalogue",
    "licence_needed": "licences",
    "licence_text": "licences",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tilewise.encoders' has no attribute {name!r}")
    return getattr(import_module(f"tilewise.encoders.{_HOMES[name]}"), name)
