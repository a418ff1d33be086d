"""Tiles that no slide has: the texture of one slide in the shape of another of its class, to learn from.

Names are imported when they are first used, so that a recipe can know the config without importing torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tilewise.training.synthesis.config import SynthesisConfig
    from tilewise.training.synthesis.generator import Example, TileGenerator
    from tilewise.training.synthesis.part import SyntheticTiles, synthesize_part
    from tilewise.training.synthesis.registry import find_generator, register_generator

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
    "SynthesisConfig": "config",
    "SyntheticTiles": "part",
    "Example": "generator",
    "TileGenerator": "generator",
    "synthesize_part": "part",
    "find_generator": "registry",
    "register_generator": "registry",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tilewise.training.synthesis' has no attribute {name!r}")
    return getattr(import_module(f"tilewise.training.synthesis.{_HOMES[name]}"), name)
