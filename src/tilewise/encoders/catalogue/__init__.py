"""The catalogue of encoders: data only, no torch imported."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from types import MappingProxyType

from tilewise.encoders.card import EncoderCard
from tilewise.encoders.catalogue import embedded, imagenet, pathology
from tilewise.encoders.catalogue.stages import STAGES
from tilewise.errors import PluginError, UsageError
from tilewise.plugins import Plugin, find_plugin, installed_plugins

_log = logging.getLogger(__name__)


@cache
def cards() -> Mapping[str, EncoderCard]:
    """Every card by its name, the embedded encoder first."""
    networks = (*imagenet.CARDS, *pathology.CARDS)
    every = (*embedded.CARDS, *(replace(card, stages=STAGES[card.architecture]) for card in networks))
    return MappingProxyType({card.name: card for card in every})


def plugin_cards() -> dict[str, EncoderCard]:
    """The cards of installed plugins by name; one that is broken is left out, with a warning."""
    of_plugins = {}
    for name, plugin in installed_plugins("tilewise.encoders").items():
        try:
            of_plugins[name] = _card_of(plugin)
        except PluginError as error:
            _log.warning("%s", error)
    return of_plugins


def find_card(name: str) -> EncoderCard:
    """The card of this name.

    Raises:
        UsageError: there is none; the message offers the names most like it.
        PluginError: a name with a dot is that of no installed plugin, or the plugin is broken.
    """
    card = cards().get(name)
    if card is not None:
        return card
    if "." in name:
        return _card_of(find_plugin("tilewise.encoders", name))
    likely = difflib.get_close_matches(name.lower().replace("-", "_"), cards(), n=3, cutoff=0.5)
    offer = f"did you mean {' or '.join(likely)}? " if likely else ""
    raise UsageError(f"encoder: there is none called {name!r}; {offer}`tilewise encoders` lists all {len(cards())}")


def _card_of(plugin: Plugin) -> EncoderCard:
    card = plugin.load()
    if not isinstance(card, EncoderCard) or card.name != plugin.name:
        raise PluginError(f"{plugin}: {plugin.target} is no EncoderCard of this name; see the guide on plugins")
    return card if card.builder == "plugin" else replace(card, stages=STAGES.get(card.architecture, card.stages))
