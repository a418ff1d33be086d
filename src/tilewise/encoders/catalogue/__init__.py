"""The catalogue of encoders: data only, no torch imported."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from types import MappingProxyType

from tilewise.encoders.card import EncoderCard
from tilewise.encoders.catalogue import embedded, imagenet, pathology
from tilewise.encoders.catalogue.stages import STAGES
from tilewise.errors import UsageError


@cache
def cards() -> Mapping[str, EncoderCard]:
    """Every card by its name, the embedded encoder first."""
    networks = (*imagenet.CARDS, *pathology.CARDS)
    every = (*embedded.CARDS, *(replace(card, stages=STAGES[card.architecture]) for card in networks))
    return MappingProxyType({card.name: card for card in every})


def find_card(name: str) -> EncoderCard:
    """The card of this name.

    Raises:
        UsageError: there is none; the message offers the names most like it.
    """
    card = cards().get(name)
    if card is not None:
        return card
    likely = difflib.get_close_matches(name.lower().replace("-", "_"), cards(), n=3, cutoff=0.5)
    offer = f"did you mean {' or '.join(likely)}? " if likely else ""
    raise UsageError(f"encoder: there is none called {name!r}; {offer}`tilewise encoders` lists all {len(cards())}")
