"""tilewise: from a folder of slides, masks and labels to an honest score and a classifier that can be deployed.

Names are imported when they are first used, so that `import tilewise` costs nothing. The verbs `audit` and `report`
share their names with packages and are called as `tilewise.api.audit` and `tilewise.api.report`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tilewise.version import __version__

if TYPE_CHECKING:
    from tilewise import api
    from tilewise.api import evaluate, load_recipe, predict, train, verify
    from tilewise.cohort import Cohort, Slide
    from tilewise.recipe import Recipe

__all__ = [
    "Cohort",
    "Recipe",
    "Slide",
    "__version__",
    "api",
    "evaluate",
    "load_recipe",
    "predict",
    "train",
    "verify",
]

_HOMES = {
    **dict.fromkeys(("evaluate", "load_recipe", "predict", "train", "verify"), "tilewise.api"),
    "Cohort": "tilewise.cohort",
    "Slide": "tilewise.cohort",
    "Recipe": "tilewise.recipe",
}


def __getattr__(name: str) -> Any:
    if name == "api":
        return import_module("tilewise.api")
    if name not in _HOMES:
        raise AttributeError(f"module 'tilewise' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
