"""Stain: normalisation to a common look, separation into haematoxylin and eosin, augmentation in optical density.

Names are imported when they are first used, so that a recipe can know the config without importing NumPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tilewise.stain.augment import hed_jitter
    from tilewise.stain.config import Method, StainConfig, TrustConfig
    from tilewise.stain.fit import fit_picture, fit_profile, fit_slide
    from tilewise.stain.normalise import Normaliser, TileNormaliser, normalise_each
    from tilewise.stain.profile import StainProfile
    from tilewise.stain.record import StainRecord
    from tilewise.stain.separation import concentrations, separate
    from tilewise.stain.target import STANDARD, choose_target, median_profile
    from tilewise.stain.trust import untrusted_reason

__all__ = [
    "STANDARD",
    "Method",
    "Normaliser",
    "StainConfig",
    "StainProfile",
    "StainRecord",
    "TileNormaliser",
    "TrustConfig",
    "choose_target",
    "concentrations",
    "fit_picture",
    "fit_profile",
    "fit_slide",
    "hed_jitter",
    "median_profile",
    "normalise_each",
    "separate",
    "untrusted_reason",
]

_HOMES = {
    "STANDARD": "target",
    "Method": "config",
    "Normaliser": "normalise",
    "StainConfig": "config",
    "StainProfile": "profile",
    "StainRecord": "record",
    "TileNormaliser": "normalise",
    "TrustConfig": "config",
    "choose_target": "target",
    "concentrations": "separation",
    "fit_picture": "fit",
    "fit_profile": "fit",
    "fit_slide": "fit",
    "hed_jitter": "augment",
    "median_profile": "target",
    "normalise_each": "normalise",
    "separate": "separation",
    "untrusted_reason": "trust",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tilewise.stain' has no attribute {name!r}")
    return getattr(import_module(f"tilewise.stain.{_HOMES[name]}"), name)
