"""Random changes of tiles while they are learnt from.

Names are imported when they are first used, so that a recipe can know the configs without importing torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tilewise.training.augment.augment import Augment
    from tilewise.training_config.augment import AugmentConfig

__all__ = ["Augment", "AugmentConfig"]

_HOMES = {"Augment": "tilewise.training.augment.augment", "AugmentConfig": "tilewise.training_config.augment"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tilewise.training.augment' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
