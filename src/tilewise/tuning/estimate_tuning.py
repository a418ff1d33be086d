"""What a search would do, and roughly how long it takes, by the recipe that it varies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from tilewise.pipeline.estimate_run import RunEstimate, StageEstimate, estimate_run
from tilewise.pipeline.shared_stages import SharedStages
from tilewise.recipe import Recipe
from tilewise.tuning.space import Space
from tilewise.tuning.study import import_optuna
from tilewise.tuning.tune_cohort import AS_IT_IS, is_finished, is_started, with_outer_slides

_OF_TILES: Final = ("segment", "tiles")
_OF_FEATURES: Final = (*_OF_TILES, "stain", "encoder", "features")
_SECTIONS: Final = {"audit": (), "tiles": _OF_TILES, "features": _OF_FEATURES, "pixels": _OF_FEATURES}


def estimate_tuning(space: Space, recipe: Recipe, out: Path, shared: SharedStages, *, num_trials: int) -> RunEstimate:
    """Say what a whole search would do at most; trials that were made already count in. Nothing is written.

    The recipe as it is is timed, and stands for every trial: one with larger tiles or more epochs takes longer. Pruned
    trials train fewer folds.

    Args:
        space: what is searched.
        recipe: whose keys are varied.
        out: folder that the search would have.
        shared: cohort, seed and machine.
        num_trials: in all.

    Raises:
        RecipeError: the space does not fit the recipe.
        UsageError: Optuna is not installed, the folder holds another search, or the recipe cannot be used.
        FoldsError: the cohort has fewer groups than there should be folds.
    """
    import_optuna()
    recipe = with_outer_slides(recipe)
    space.check(recipe)
    is_begun = is_started(space, recipe, out, shared)
    estimate = estimate_run(recipe, out / AS_IT_IS, shared)
    return replace(
        estimate,
        out=out,
        state="finished" if is_finished(out) else "stopped" if is_begun else "new",
        recipe=f"{space.name} over {recipe.name}",
        stages=tuple(_of_trials(stage, space, num_trials) for stage in estimate.stages),
        num_runs=num_trials,
        unit="trial",
    )


def _of_trials(stage: StageEstimate, space: Space, num_trials: int) -> StageEstimate:
    """The stage as often as the recipe as it is and the trials need it, at most."""
    if stage.name not in _SECTIONS:
        times, runs = 1 + num_trials, f"of the recipe as it is, and at most as many of each of {num_trials} trials"
    else:
        num_ways = space.num_ways(_SECTIONS[stage.name])
        times = 1 if num_ways == 1 else 1 + int(min(num_trials, num_ways))
        runs = "shared by all trials" if times == 1 else f"in up to {times} ways, as trials draw them"
    return replace(
        stage,
        num_items=None if stage.num_items is None else stage.num_items * times,
        seconds=None if stage.seconds is None else stage.seconds * times,
        runs=runs,
    )
