"""Tiles that no slide has: the texture of one slide in the shape of another of its class, to learn from.

Names are imported when they are first used, so that a recipe can know the config without importing torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tilewise.training.synthesis.generator import Example, TileGenerator
    from tilewise.training.synthesis.part import SyntheticTiles, synthesize_part
    from tilewise.training.synthesis.registry import find_generator, register_generator
    from tilewise.training_config.synthesis import SynthesisConfig

__all__ = [
    "Example",
    "SynthesisConfig",
    "SyntheticTiles",
    "TileGenerator",
    "find_generator",
    "register_generator",
    "synthesize_part",
]

_HOMES = {
    "SynthesisConfig": "tilewise.training_config.synthesis",
    "SyntheticTiles": "tilewise.training.synthesis.part",
    "Example": "tilewise.training.synthesis.generator",
    "TileGenerator": "tilewise.training.synthesis.generator",
    "synthesize_part": "tilewise.training.synthesis.part",
    "find_generator": "tilewise.training.synthesis.registry",
    "register_generator": "tilewise.training.synthesis.registry",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tilewise.training.synthesis' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
