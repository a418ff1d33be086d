"""tilewise: from a folder of slides, masks and labels to an honest score and a classifier that can be deployed.

Names are imported when they are first used, so that `import tilewise` costs nothing. The verbs that share their names
with packages (`ensemble`, `explain`, `segment`, `sweep`, `tiles`) stand in `tilewise.api`, as do all others with what
they take and return; exceptions stand in `tilewise.errors`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tilewise.version import __version__

if TYPE_CHECKING:
    from tilewise import api, errors
    from tilewise.api import (
        AuditedCohort,
        ClassifierBundle,
        CohortFeatures,
        HeadConfig,
        PredictionResult,
        TrainingConfig,
        audit,
        compare,
        evaluate,
        features,
        load_recipe,
        predict,
        report,
        train,
        tune,
        verify,
    )
    from tilewise.api.estimator import SlideClassifier
    from tilewise.cohort import Cohort, Slide
    from tilewise.evaluation.evaluation import Evaluation
    from tilewise.evaluation.interval import Estimate
    from tilewise.inference.predictions import Predictions
    from tilewise.pipeline.finished_run import Run
    from tilewise.recipe import Recipe

__all__ = [
    "AuditedCohort",
    "ClassifierBundle",
    "Cohort",
    "CohortFeatures",
    "Estimate",
    "Evaluation",
    "HeadConfig",
    "PredictionResult",
    "Predictions",
    "Recipe",
    "Run",
    "Slide",
    "SlideClassifier",
    "TrainingConfig",
    "__version__",
    "api",
    "audit",
    "compare",
    "errors",
    "evaluate",
    "features",
    "load_recipe",
    "predict",
    "report",
    "train",
    "tune",
    "verify",
]

_VERBS = ("audit", "compare", "evaluate", "features", "load_recipe", "predict", "report", "train", "tune", "verify")
_TYPES = ("AuditedCohort", "ClassifierBundle", "CohortFeatures", "HeadConfig", "PredictionResult", "TrainingConfig")
_MODULES = ("api", "errors")
_HOMES = {
    **dict.fromkeys(_VERBS, "tilewise.api"),
    **dict.fromkeys(_TYPES, "tilewise.api"),
    "Cohort": "tilewise.cohort",
    "Estimate": "tilewise.evaluation.interval",
    "Evaluation": "tilewise.evaluation.evaluation",
    "Predictions": "tilewise.inference.predictions",
    "Recipe": "tilewise.recipe",
    "Run": "tilewise.pipeline.finished_run",
    "Slide": "tilewise.cohort",
    "SlideClassifier": "tilewise.api.estimator",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"tilewise.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'tilewise' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
