"""Networks on pixels: an encoder that may be trained, its inputs, and a head; prediction; one file format.

Names are imported when they are first used, so that a recipe can know the config without importing torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tilewise.models.networks.batch import TileBatch
    from tilewise.models.networks.blocks import Block, block_table, encoder_blocks
    from tilewise.models.networks.build import build_network
    from tilewise.models.networks.check import check_network
    from tilewise.models.networks.config import NetworkConfig
    from tilewise.models.networks.network import TileNetwork
    from tilewise.models.networks.saved import NetworkModel
    from tilewise.models.networks.trained import num_trained_blocks, rate_factors

__all__ = [
    "Block",
    "NetworkConfig",
    "NetworkModel",
    "TileBatch",
    "TileNetwork",
    "block_table",
    "build_network",
    "check_network",
    "encoder_blocks",
    "num_trained_blocks",
    "rate_factors",
]

_HOMES = {
    "Block": "blocks",
    "NetworkConfig": "config",
    "NetworkModel": "saved",
    "TileBatch": "batch",
    "TileNetwork": "network",
    "block_table": "blocks",
    "build_network": "build",
    "check_network": "check",
    "encoder_blocks": "blocks",
    "num_trained_blocks": "trained",
    "rate_factors": "trained",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tilewise.models.networks' has no attribute {name!r}")
    return getattr(import_module(f"tilewise.models.networks.{_HOMES[name]}"), name)
