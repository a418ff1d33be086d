"""The public verbs, and the types that they take and return: what `import tilewise` and the command line offer.

Types are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tilewise.api.catalogue import accept_licence, doctor, encoder, encoders, fetch_weights
from tilewise.api.finished import compare, evaluate, repair, report, verify
from tilewise.api.interchange import export_features, export_run, import_features, model_card
from tilewise.api.prediction import explain, predict
from tilewise.api.several_runs import ensemble, estimate_sweep, learning_curve, sweep
from tilewise.api.slides import audit, segment, similar, synth, tiles
from tilewise.api.training import estimate_run, features, train
from tilewise.api.tuning import estimate_tuning, tune
from tilewise.recipe import load_recipe, packaged_recipes, recipe_schema, resolve_recipe

if TYPE_CHECKING:
    from tilewise.auditing.cohort import AuditedCohort, AuditedSlide
    from tilewise.auditing.finding import Decision, Decisions, Finding, Findings
    from tilewise.auditing.notes import NoteKind
    from tilewise.auditing.similar import Neighbour, SimilarSlides
    from tilewise.calibration.calibration import Calibration
    from tilewise.calibration.prediction_sets import SetThresholds
    from tilewise.calibration.scaling import Scaling
    from tilewise.cohort import LabelTables
    from tilewise.encoders.fetch import FetchedWeights
    from tilewise.evaluation.calibration_results import (
        AbstentionPoint,
        CalibrationScores,
        ProbabilityScores,
        ReliabilityBin,
        SetCoverage,
        SetScores,
    )
    from tilewise.evaluation.comparison import ComparedRecipe, Comparison, RecipePair
    from tilewise.evaluation.difference import MetricDifference, PairedDifference, Spread
    from tilewise.evaluation.net_benefit import NetBenefit, NetBenefitPoint
    from tilewise.evaluation.results import (
        Baselines,
        ClassScores,
        ConfusionMatrix,
        FoldMean,
        IntervalMethod,
        Metrics,
        Scores,
        SlideLoss,
    )
    from tilewise.evaluation.subgroups import Subgroup
    from tilewise.execution import Failure
    from tilewise.explain.checks import Localisation, MapCheck
    from tilewise.explain.config import ExplainConfig
    from tilewise.inference.classifier import ClassifierBundle
    from tilewise.inference.load_classifier import EnsembleClassifier
    from tilewise.interchange.convert import ConvertedFeatures
    from tilewise.ladder.choice import LadderChoice
    from tilewise.learning_curve.draw_curve import CurvePoint, LearningCurve
    from tilewise.learning_curve.extrapolate import Extrapolation
    from tilewise.models import HeadConfig
    from tilewise.pipeline.cohort_features import CohortFeatures
    from tilewise.pipeline.doctor import Check
    from tilewise.pipeline.explanation import ExplainResult
    from tilewise.pipeline.export_run import ExportedRun
    from tilewise.pipeline.predict import PredictionResult
    from tilewise.pipeline.repair_run import RunRepair
    from tilewise.recipe import ResolvedRecipe
    from tilewise.run_folder import RunFolder
    from tilewise.segment.segment_cohort import Segmentation, SlideMask
    from tilewise.store import Damage
    from tilewise.sweep.choice import ChoiceScores
    from tilewise.sweep.grid import Grid, GridVariant
    from tilewise.sweep.sweep import Sweep
    from tilewise.sweep.table import SweepRow, SweepTable
    from tilewise.synthetic.cohort import SynthSummary
    from tilewise.synthetic.config import SynthConfig
    from tilewise.tiles.tileset import TileSet
    from tilewise.training_config.training import TrainingConfig
    from tilewise.tuning.outer_scores import OuterScores
    from tilewise.tuning.trial import Trial
    from tilewise.tuning.tuned_recipe import TunedRecipe

__all__ = [
    "AbstentionPoint",
    "AuditedCohort",
    "AuditedSlide",
    "Baselines",
    "Calibration",
    "CalibrationScores",
    "Check",
    "ChoiceScores",
    "ClassScores",
    "ClassifierBundle",
    "CohortFeatures",
    "ComparedRecipe",
    "Comparison",
    "ConfusionMatrix",
    "ConvertedFeatures",
    "CurvePoint",
    "Damage",
    "Decision",
    "Decisions",
    "EnsembleClassifier",
    "ExplainConfig",
    "ExplainResult",
    "ExportedRun",
    "Extrapolation",
    "Failure",
    "FetchedWeights",
    "Finding",
    "Findings",
    "FoldMean",
    "Grid",
    "GridVariant",
    "HeadConfig",
    "IntervalMethod",
    "LabelTables",
    "LadderChoice",
    "LearningCurve",
    "Localisation",
    "MapCheck",
    "MetricDifference",
    "Metrics",
    "Neighbour",
    "NetBenefit",
    "NetBenefitPoint",
    "NoteKind",
    "OuterScores",
    "PairedDifference",
    "PredictionResult",
    "ProbabilityScores",
    "RecipePair",
    "ReliabilityBin",
    "ResolvedRecipe",
    "RunEstimate",
    "RunFolder",
    "RunRepair",
    "Scaling",
    "Scores",
    "Segmentation",
    "SetCoverage",
    "SetScores",
    "SetThresholds",
    "SimilarSlides",
    "SlideLoss",
    "SlideMask",
    "Spread",
    "StageEstimate",
    "Subgroup",
    "Sweep",
    "SweepRow",
    "SweepTable",
    "SynthConfig",
    "SynthSummary",
    "TileSet",
    "TrainingConfig",
    "Trial",
    "TunedRecipe",
    "accept_licence",
    "audit",
    "compare",
    "doctor",
    "encoder",
    "encoders",
    "ensemble",
    "estimate_run",
    "estimate_sweep",
    "estimate_tuning",
    "evaluate",
    "explain",
    "export_features",
    "export_run",
    "features",
    "fetch_weights",
    "import_features",
    "learning_curve",
    "load_recipe",
    "model_card",
    "packaged_recipes",
    "predict",
    "recipe_schema",
    "repair",
    "report",
    "resolve_recipe",
    "segment",
    "similar",
    "sweep",
    "synth",
    "tiles",
    "train",
    "tune",
    "verify",
]

_HOMES = {
    **dict.fromkeys(("AuditedCohort", "AuditedSlide"), "tilewise.auditing.cohort"),
    **dict.fromkeys(("Decision", "Decisions", "Finding", "Findings"), "tilewise.auditing.finding"),
    "NoteKind": "tilewise.auditing.notes",
    **dict.fromkeys(("Neighbour", "SimilarSlides"), "tilewise.auditing.similar"),
    **dict.fromkeys(
        ("Baselines", "ClassScores", "ConfusionMatrix", "FoldMean", "IntervalMethod", "Metrics", "Scores", "SlideLoss"),
        "tilewise.evaluation.results",
    ),
    "Calibration": "tilewise.calibration.calibration",
    "Scaling": "tilewise.calibration.scaling",
    "SetThresholds": "tilewise.calibration.prediction_sets",
    **dict.fromkeys(
        (
            "AbstentionPoint",
            "CalibrationScores",
            "ProbabilityScores",
            "ReliabilityBin",
            "SetCoverage",
            "SetScores",
        ),
        "tilewise.evaluation.calibration_results",
    ),
    **dict.fromkeys(("ComparedRecipe", "Comparison", "RecipePair"), "tilewise.evaluation.comparison"),
    **dict.fromkeys(("MetricDifference", "PairedDifference", "Spread"), "tilewise.evaluation.difference"),
    **dict.fromkeys(("NetBenefit", "NetBenefitPoint"), "tilewise.evaluation.net_benefit"),
    "ChoiceScores": "tilewise.sweep.choice",
    "Failure": "tilewise.execution",
    "FetchedWeights": "tilewise.encoders.fetch",
    **dict.fromkeys(("Localisation", "MapCheck"), "tilewise.explain.checks"),
    "ExplainConfig": "tilewise.explain.config",
    "ClassifierBundle": "tilewise.inference.classifier",
    "EnsembleClassifier": "tilewise.inference.load_classifier",
    "HeadConfig": "tilewise.models",
    "LabelTables": "tilewise.cohort",
    "LadderChoice": "tilewise.ladder.choice",
    **dict.fromkeys(("CurvePoint", "LearningCurve"), "tilewise.learning_curve.draw_curve"),
    "Extrapolation": "tilewise.learning_curve.extrapolate",
    "ConvertedFeatures": "tilewise.interchange.convert",
    "CohortFeatures": "tilewise.pipeline.cohort_features",
    "Check": "tilewise.pipeline.doctor",
    "ExplainResult": "tilewise.pipeline.explain",
    "ExportedRun": "tilewise.pipeline.export_run",
    "PredictionResult": "tilewise.pipeline.predict",
    "RunRepair": "tilewise.pipeline.repair_run",
    "ResolvedRecipe": "tilewise.recipe",
    **dict.fromkeys(("RunEstimate", "StageEstimate"), "tilewise.pipeline.estimate_run"),
    "RunFolder": "tilewise.run_folder",
    **dict.fromkeys(("Segmentation", "SlideMask"), "tilewise.segment.segment_cohort"),
    "Damage": "tilewise.store",
    **dict.fromkeys(("Grid", "GridVariant"), "tilewise.sweep.grid"),
    "Sweep": "tilewise.sweep.sweep",
    **dict.fromkeys(("SweepRow", "SweepTable"), "tilewise.sweep.table"),
    "Subgroup": "tilewise.evaluation.subgroups",
    "SynthSummary": "tilewise.synthetic.cohort",
    "SynthConfig": "tilewise.synthetic.config",
    "TileSet": "tilewise.tiles.tileset",
    "TrainingConfig": "tilewise.training_config.training",
    "OuterScores": "tilewise.tuning.outer_scores",
    "Trial": "tilewise.tuning.trial",
    "TunedRecipe": "tilewise.tuning.tuned_recipe",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tilewise.api' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
