"""The verb that searches for settings."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tilewise.api.coerce import (
    check_run_place,
    checked,
    feature_stages,
    files_of,
    require_local,
    to_features,
    to_recipe,
    to_seconds,
    to_stages,
    trainable,
)
from tilewise.errors import ArgumentError
from tilewise.execution import ExecutorName, use_executor
from tilewise.recipe import DEFAULT, Recipe

if TYPE_CHECKING:
    from tilewise.auditing.cohort import AuditedCohort
    from tilewise.cohort import Cohort, LabelTables
    from tilewise.pipeline.estimate_run import RunEstimate
    from tilewise.tuning.tuned_recipe import TunedRecipe


@checked
def tune(  # noqa: PLR0913 - one argument per option of the command, all by name
    cohort: AuditedCohort | Cohort | Path | str,
    space: Mapping[str, Any] | Path | str,
    recipe: Recipe | Mapping[str, Any] | Path | str | None = None,
    *,
    out: Path | str,
    labels: LabelTables | Path | str | None = None,
    num_trials: int = 50,
    seed: int = 0,
    decisions: Path | str | None = None,
    workers: int | None = None,
    executor: ExecutorName | None = None,
    offline: bool = False,
    time_limit: float | str | None = None,
) -> TunedRecipe:
    """Search settings of a recipe by validation, and score the winner once on slides the search never saw.

    A quarter of the slides, or `folds.holdout_fraction` of the recipe, is set apart. Trials train the folds of the
    others and are scored on their validation parts; Optuna's TPE sampler draws their values, and its Wilcoxon pruner
    ends those whose folds fall behind the best. A stopped call is resumed, more trials can be asked for later, and
    several processes may search in one folder.

    Args:
        cohort: an audit with the recipe's `audit` section, what was discovered, or a folder or table to discover.
        space: what is searched: a packaged name, a YAML file, or keys as in one. A recipe key with `low` and `high`
            (and `log`, `step`) or `choices`, or a name with a list of alternatives, each with keys of its own.
        recipe: that is varied; None takes the space's own, else the default.
        out: folder for the trials, the winner's run, `tune.html`, `tune.csv`, `tune.json` and `winner.yaml`.
        labels: tables of labels for a folder of features of another program, as in `train`; what is searched are then
            heads and training.
        num_trials: in all, those of earlier calls counted in.
        seed: of everything random; 0 is a seed. One process makes the same trials again from the same seed.
        decisions: a decisions.csv of an audit that a person edited.
        workers: processes of what trials share; None takes every processor.
        executor: `local` or `ray`, a cluster (docs/how-to/ray.md); None takes `$TILEWISE_EXECUTOR`, else `local`.
            Results do not depend on it.
        offline: never reach for the network; the recipe is changed as in `train`.
        time_limit: seconds or `20m`: a trial that would end later is not begun. The winner is trained after it.

    Raises:
        RecipeError: the space is not valid, or does not fit the recipe; nothing was run.
        UsageError: Optuna is not installed, or the cohort or folder cannot be used.
    """
    from tilewise.pipeline.shared_stages import Resources
    from tilewise.tuning.page import write_page
    from tilewise.tuning.space import load_space
    from tilewise.tuning.tune_cohort import tune_cohort

    _check_num_trials(num_trials)
    deadline = None if time_limit is None else time.monotonic() + to_seconds(time_limit, "time_limit")
    searched = load_space(space)
    chosen = to_recipe(recipe if recipe is not None else searched.recipe or DEFAULT)
    resources, features = Resources(workers, offline), to_features(cohort, labels)
    if features is not None:
        chosen = features.varied_recipe(chosen, searched.keys)
        shared = feature_stages(features, seed, resources, decisions)
    else:
        chosen = trainable(chosen, offline=offline)
        shared = to_stages(cohort, "train", audit=chosen.audit, decisions=decisions, seed=seed, resources=resources)
    check_run_place(Path(out), shared.cohort)
    with use_executor(executor, workers=workers, reads=files_of(shared.cohort), writes=[Path(out)]):
        tuned = tune_cohort(searched, chosen, Path(out), shared, num_trials=num_trials, deadline=deadline)
    write_page(tuned, searched, shared.cohort.root.name, seed)
    return tuned


@checked
def estimate_tuning(  # noqa: PLR0913 - as `tune`
    cohort: Cohort | Path | str,
    space: Mapping[str, Any] | Path | str,
    recipe: Recipe | Mapping[str, Any] | Path | str | None = None,
    *,
    out: Path | str,
    num_trials: int = 50,
    seed: int = 0,
    decisions: Path | str | None = None,
    workers: int | None = None,
    executor: ExecutorName | None = None,
    offline: bool = False,
    time_limit: float | str | None = None,
) -> RunEstimate:
    """Say what `tune` would do at most, and roughly how long it takes: a few slides are timed with the recipe as it is.

    Nothing is written that stays.

    Args:
        cohort: what was discovered, or a folder or table to discover.
        space: what is searched, as in `tune`.
        recipe: that is varied; None takes the space's own, else the default.
        out: folder that the search would have.
        num_trials: in all, those of earlier calls counted in.
        seed: of everything random.
        decisions: a decisions.csv of an audit that a person edited; it is checked.
        workers: processes of what trials share; None takes every processor.
        executor: `local` alone, for slides are timed on this machine; None takes `$TILEWISE_EXECUTOR`, else `local`.
        offline: never reach for the network; the recipe is changed as in `train`.
        time_limit: as in `tune`; it is checked, and has no part in the estimate, which is of all trials.

    Raises:
        RecipeError: the space is not valid, or does not fit the recipe.
        UsageError: Optuna is not installed, the cohort or folder cannot be used, or the folder holds another search.

    Example:
        >>> estimate = tw.api.estimate_tuning("my_cohort", "heads", "texture", out="searches/heads", num_trials=20)
        >>> [stage.runs for stage in estimate.stages[:2]]
        ['shared by all trials', 'shared by all trials']
    """
    from tilewise.pipeline.shared_stages import Resources
    from tilewise.tuning.estimate_tuning import estimate_tuning as estimate
    from tilewise.tuning.space import load_space

    require_local(executor)
    _check_num_trials(num_trials)
    if time_limit is not None:
        to_seconds(time_limit, "time_limit")
    searched = load_space(space)
    chosen = trainable(to_recipe(recipe if recipe is not None else searched.recipe or DEFAULT), offline=offline)
    shared = to_stages(cohort, "train", decisions=decisions, seed=seed, resources=Resources(workers, offline))
    check_run_place(Path(out), shared.cohort)
    return estimate(searched, chosen, Path(out), shared, num_trials=num_trials)


def _check_num_trials(num_trials: int) -> None:
    if isinstance(num_trials, bool) or not isinstance(num_trials, int) or num_trials < 1:
        raise ArgumentError(f"tune: num_trials={num_trials!r}: expected a whole number from 1")
