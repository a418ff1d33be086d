"""Models on features: standardisation, head, aggregator; prediction; one file format.

torch is imported when a model is built, not when this package is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tilewise.models.config import HeadConfig

if TYPE_CHECKING:
    from tilewise.models.fold_model import FoldModel
    from tilewise.models.standardisation import Standardisation

__all__ = ["FoldModel", "HeadConfig", "Standardisation"]


def __getattr__(name: str) -> Any:
    """Import what needs NumPy when it is asked for."""
    if name == "FoldModel":
        from tilewise.models.fold_model import FoldModel

        return FoldModel
    if name == "Standardisation":
        from tilewise.models.standardisation import Standardisation

        return Standardisation
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
