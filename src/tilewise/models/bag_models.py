"""The learnt ways from tiles to slides by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch

from tilewise.errors import PluginError
from tilewise.models.attention import build_pooled_head
from tilewise.models.bag_model import BagModel
from tilewise.models.clam import build_clam
from tilewise.models.config import HeadConfig
from tilewise.models.dsmil import build_dsmil
from tilewise.models.transmil import build_transmil
from tilewise.plugins import find_plugin


class Builder(Protocol):
    """Builds a module with fresh weights; arguments as `build_head`."""

    def __call__(
        self, config: HeadConfig, *, num_features: int, num_classes: int, generator: torch.Generator | None = None
    ) -> BagModel:
        """See `Builder`."""


BUILDERS: Mapping[str, Builder] = {
    "attention": build_pooled_head,
    "additive_attention": build_pooled_head,
    "clam_sb": build_clam,
    "clam_mb": build_clam,
    "dsmil": build_dsmil,
    "transmil": build_transmil,
}


def build_bag_model(
    config: HeadConfig, *, num_features: int, num_classes: int, generator: torch.Generator | None = None
) -> BagModel:
    """The module that `config.aggregate` names, with fresh weights; arguments as `build_head`.

    Raises:
        PluginError: a plugin builds it, and fails.
    """
    name = config.aggregator
    if name in BUILDERS:
        return BUILDERS[name](config, num_features=num_features, num_classes=num_classes, generator=generator)
    plugin = find_plugin("tilewise.bag_models", name)
    build: Builder = plugin.load()
    try:
        model = build(config, num_features=num_features, num_classes=num_classes, generator=generator)
    except Exception as error:
        raise PluginError(f"{plugin} failed: {error!r}") from error
    if not isinstance(model, BagModel):
        raise PluginError(f"{plugin} gives a {type(model).__name__}; expected a BagModel")
    return model
