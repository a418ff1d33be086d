"""tilewise: from a folder of slides, masks and labels to an honest score and a classifier that can be deployed.

Names are imported when they are first used, so that `import tilewise` costs nothing. The verbs that share their names
with packages (`ensemble`, `explain`, `segment`, `sweep`, `tiles`) stand in `tilewise.api`, with all others.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tilewise.version import __version__

if TYPE_CHECKING:
    from tilewise import api
    from tilewise.api import audit, evaluate, features, load_recipe, predict, report, train, verify
    from tilewise.api.estimator import SlideClassifier
    from tilewise.cohort import Cohort, Slide
    from tilewise.evaluation.evaluation import Evaluation
    from tilewise.evaluation.interval import Estimate
    from tilewise.inference.predictions import Predictions
    from tilewise.pipeline.run import Run
    from tilewise.recipe import Recipe

__all__ = [
    "Cohort",
    "Estimate",
    "Evaluation",
    "Predictions",
    "Recipe",
    "Run",
    "Slide",
    "SlideClassifier",
    "__version__",
    "api",
    "audit",
    "evaluate",
    "features",
    "load_recipe",
    "predict",
    "report",
    "train",
    "verify",
]

_VERBS = ("audit", "evaluate", "features", "load_recipe", "predict", "report", "train", "verify")
_HOMES = {
    **dict.fromkeys(_VERBS, "tilewise.api"),
    "Cohort": "tilewise.cohort",
    "Estimate": "tilewise.evaluation.interval",
    "Evaluation": "tilewise.evaluation.evaluation",
    "Predictions": "tilewise.inference.predictions",
    "Recipe": "tilewise.recipe",
    "Run": "tilewise.pipeline.run",
    "Slide": "tilewise.cohort",
    "SlideClassifier": "tilewise.api.estimator",
}


def __getattr__(name: str) -> Any:
    if name == "api":
        return import_module("tilewise.api")
    if name not in _HOMES:
        raise AttributeError(f"module 'tilewise' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
