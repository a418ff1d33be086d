"""The model card, from a run's files alone."""

from __future__ import annotations

from typing import Any

import yaml

from tilewise.errors import ArtifactError
from tilewise.evaluation.evaluation import Evaluation
from tilewise.evaluation.interval import Estimate
from tilewise.evaluation.results import Scores
from tilewise.metrics import METRIC_NAMES
from tilewise.pipeline.model_card import INTENDED_USE
from tilewise.run_folder import RunFolder
from tilewise.score_warnings import read_warnings
from tilewise.serving.prediction_api.schemas import (
    ClassScoreBody,
    IntervalBody,
    ModelCard,
    ScoreBody,
    ScoresBody,
)
from tilewise.version import __version__


def read_model_card(folder: RunFolder) -> ModelCard:
    """Read a finished run's model card.

    Raises:
        UsageError: the folder holds no finished run.
        ArtifactError: a file of the run is missing or damaged.
    """
    folder.require_finished()
    evaluation = Evaluation.read(folder.evaluation)
    recipe = _read_recipe(folder)
    return ModelCard(
        name=str(recipe.get("name", folder.root.name)),
        classes=list(evaluation.classes),
        recipe=recipe,
        out_of_fold=_scores(evaluation.out_of_fold),
        holdout=None if evaluation.holdout is None else _scores(evaluation.holdout),
        warnings=list(read_warnings(folder)),
        intended_use=INTENDED_USE,
        tilewise_version=__version__,
    )


def _read_recipe(folder: RunFolder) -> dict[str, Any]:
    """The recipe as it was written; a combination of runs has none."""
    if not folder.recipe.is_file():
        return {}
    try:
        recipe = yaml.safe_load(folder.recipe.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ArtifactError(f"{folder.recipe} is damaged ({type(error).__name__}); restore it") from error
    if not isinstance(recipe, dict):
        raise ArtifactError(f"{folder.recipe} is damaged (no mapping); restore it")
    return recipe


def _scores(scores: Scores) -> ScoresBody:
    baselines = scores.baselines
    return ScoresBody(
        num_slides=scores.num_slides,
        num_groups=scores.num_groups,
        interval_level=scores.interval.level,
        scores=[
            ScoreBody(
                metric=name,
                score=_interval(scores.estimate(name)),
                commonest=baselines.commonest.estimate(name).value,
                random=baselines.random.estimate(name).value,
            )
            for name in METRIC_NAMES
        ],
        per_class={
            name: ClassScoreBody(
                support=own.support,
                precision=_interval(own.precision),
                recall=_interval(own.recall),
                f1=_interval(own.f1),
            )
            for name, own in scores.per_class.items()
        },
    )


def _interval(estimate: Estimate) -> IntervalBody:
    return IntervalBody(value=estimate.value, low=estimate.low, high=estimate.high)
