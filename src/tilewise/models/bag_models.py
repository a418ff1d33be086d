"""The learnt ways from tiles to slides by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch

from tilewise.models.attention import build_pooled_head
from tilewise.models.bag_model import BagModel
from tilewise.models.clam import build_clam
from tilewise.models.config import Aggregator, HeadConfig
from tilewise.models.dsmil import build_dsmil
from tilewise.models.transmil import build_transmil


class Builder(Protocol):
    """Builds a module with fresh weights; arguments as `build_head`."""

    def __call__(
        self, config: HeadConfig, *, num_features: int, num_classes: int, generator: torch.Generator | None = None
    ) -> BagModel:
        """See `Builder`."""


BUILDERS: Mapping[Aggregator, Builder] = {
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
    """The module that `config.aggregate` names, with fresh weights; arguments as `build_head`."""
    build = BUILDERS[config.aggregator]
    return build(config, num_features=num_features, num_classes=num_classes, generator=generator)
