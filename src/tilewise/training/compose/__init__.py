"""Tiles that no slide has: the texture of one slide in the shape of another of its class, to learn from.

Names are imported when they are first used, so that a recipe can know the config without importing torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tilewise.training.compose.config import ComposeConfig
    from tilewise.training.compose.generator import Example, TileGenerator, find_generator, register_generator
    from tilewise.training.compose.part import Composed, compose_part

__all__ = [
    "ComposeConfig",
    "Composed",
    "Example",
    "TileGenerator",
    "compose_part",
    "find_generator",
    "register_generator",
]

_HOMES = {
    "ComposeConfig": "config",
    "Composed": "part",
    "Example": "generator",
    "TileGenerator": "generator",
    "compose_part": "part",
    "find_generator": "generator",
    "register_generator": "generator",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tilewise.training.compose' has no attribute {name!r}")
    return getattr(import_module(f"tilewise.training.compose.{_HOMES[name]}"), name)
