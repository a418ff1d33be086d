"""Random changes of tiles while they are learnt from, and fixed views of tiles that are predicted.

Names are imported when they are first used, so that a recipe can know the configs without importing torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tilewise.training.augment.augment import Augment
    from tilewise.training.augment.config import AugmentConfig
    from tilewise.training.augment.views import ViewsConfig, each_view

__all__ = ["Augment", "AugmentConfig", "ViewsConfig", "each_view"]

_HOMES = {"Augment": "augment", "AugmentConfig": "config", "ViewsConfig": "views", "each_view": "views"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tilewise.training.augment' has no attribute {name!r}")
    return getattr(import_module(f"tilewise.training.augment.{_HOMES[name]}"), name)
