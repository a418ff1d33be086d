"""What is learnt from a cohort: train, estimate_run, features."""

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
    start_workers,
    to_features,
    to_path,
    to_recipe,
    to_seconds,
    to_stages,
    trainable,
)
from tilewise.errors import UsageError
from tilewise.execution import ExecutorName, use_executor
from tilewise.recipe import DEFAULT, Recipe

if TYPE_CHECKING:
    from tilewise.auditing.cohort import AuditedCohort
    from tilewise.cohort import Cohort, LabelTables
    from tilewise.pipeline.cohort_features import CohortFeatures
    from tilewise.pipeline.estimate_run import RunEstimate
    from tilewise.pipeline.finished_run import Run


def _deadline(recipe: Recipe, time_limit: float | str | None) -> float | None:
    """When a ladder should have been climbed, by `time.monotonic`."""
    if time_limit is None:
        return None
    deadline = time.monotonic() + to_seconds(time_limit, "time_limit")
    if not recipe.ladder.rungs:
        raise UsageError(f"a time limit is for recipes with a ladder, and {recipe.name} has none; use small-cohort")
    return deadline


@checked
def train(  # noqa: PLR0913 - one argument per option of the command, all by name
    cohort: AuditedCohort | Cohort | Path | str,
    recipe: Recipe | Mapping[str, Any] | Path | str = DEFAULT,
    *,
    out: Path | str | None = None,
    labels: LabelTables | Path | str | None = None,
    seed: int = 0,
    decisions: Path | str | None = None,
    workers: int | None = None,
    executor: ExecutorName | None = None,
    offline: bool = False,
    time_limit: float | str | None = None,
) -> Run:
    """Audit, cut, encode, train by cross-validation, score and report; the same call resumes a stopped run.

    Args:
        cohort: an audit with the recipe's `audit` section, which is not made again; what was discovered; or a folder
            or table to discover.
        recipe: a recipe, a packaged name, a YAML file, or keys as in one.
        out: folder of the run; it must be new, empty, or hold this very run. None takes `runs/COHORT-RECIPE`.
        labels: table of slides and labels for a folder of features that TRIDENT, CLAM, STAMP or torchmil made, or that
            `import_features` wrote; or a table of patients and one of their slides, as STAMP's. None takes
            `labels.csv` in that folder. No pixel is looked at then.
        seed: of everything random; 0 is a seed.
        decisions: a decisions.csv of an audit that a person edited.
        workers: processes; None takes every processor. Results do not depend on it.
        executor: `local` or `ray`, a cluster (docs/how-to/ray.md); None takes `$TILEWISE_EXECUTOR`, else `local`.
            Results do not depend on it.
        offline: never reach for the network. Where weights are not on this machine, the recipe is changed to do without
            them; its `notes`, the run's warnings and the report say how.
        time_limit: of a recipe with a ladder, seconds or `20m`: rungs that would take longer, by what one training of
            each is measured to take, are not tried. None tries all.

    Raises:
        UsageError: the cohort, recipe or folder cannot be used; nothing that was computed is lost.
        TrainingError: training could not go on.

    Example:
        >>> recipe = tw.load_recipe("default").with_(**{"tiles.size_px": 32})
        >>> run = tw.train("my_cohort", recipe, out="runs/first")
        >>> run.evaluation.out_of_fold.num_slides
        12
        >>> sorted(run.predictions.to_frame()["part"].unique())
        ['test', 'validation']
    """
    start_workers(workers, executor)
    from tilewise.pipeline import train as pipeline
    from tilewise.pipeline.shared_stages import Resources

    features = to_features(cohort, labels)
    recipe = to_recipe(recipe)
    recipe = trainable(recipe, offline=offline) if features is None else features.recipe(recipe)
    resources = Resources(workers, offline, _deadline(recipe, time_limit))
    if features is None:
        shared = to_stages(cohort, "train", audit=recipe.audit, decisions=decisions, seed=seed, resources=resources)
    else:
        shared = feature_stages(features, seed, resources, decisions)
    folder = to_path(out) or Path("runs") / f"{shared.cohort.root.stem}-{recipe.name}"
    check_run_place(folder, shared.cohort)
    with use_executor(executor, workers=workers, reads=files_of(shared.cohort), writes=[folder]):
        return pipeline.train(recipe, folder, shared)


@checked
def estimate_run(  # noqa: PLR0913 - as `train`
    cohort: Cohort | Path | str,
    recipe: Recipe | Mapping[str, Any] | Path | str = DEFAULT,
    *,
    out: Path | str | None = None,
    seed: int = 0,
    decisions: Path | str | None = None,
    workers: int | None = None,
    executor: ExecutorName | None = None,
    offline: bool = False,
    time_limit: float | str | None = None,
) -> RunEstimate:
    """Say what `train` would do, what of it lies in the cache, and roughly how long it takes: a few slides are timed.

    Nothing is written that stays, and nothing is fetched.

    Args:
        cohort: what was discovered, or a folder or table to discover.
        recipe: a recipe, a packaged name, a YAML file, or keys as in one.
        out: folder that the run would have; None takes `runs/COHORT-RECIPE`.
        seed: of everything random.
        decisions: a decisions.csv of an audit that a person edited; it is checked.
        workers: processes that the run would have; None takes every processor.
        executor: `local` alone, for slides are timed on this machine; None takes `$TILEWISE_EXECUTOR`, else `local`.
        offline: never reach for the network; the recipe is changed as in `train`.
        time_limit: as in `train`; it is checked, and no rung's time is estimated.

    Raises:
        UsageError: the recipe, cohort or folder cannot be used, or the folder holds another run.

    Example:
        >>> estimate = tw.api.estimate_run("my_cohort", "texture")
        >>> [stage.name for stage in estimate.stages]
        ['audit', 'tiles', 'features', 'training']
    """
    from tilewise.pipeline import estimate_run as pipeline
    from tilewise.pipeline.shared_stages import Resources

    require_local(executor)
    recipe = trainable(to_recipe(recipe), offline=offline)
    resources = Resources(workers, offline, _deadline(recipe, time_limit))
    shared = to_stages(cohort, "train", decisions=decisions, seed=seed, resources=resources)
    folder = to_path(out) or Path("runs") / f"{shared.cohort.root.stem}-{recipe.name}"
    check_run_place(folder, shared.cohort)
    return pipeline.estimate_run(recipe, folder, shared)


@checked
def features(
    cohort: AuditedCohort | Cohort | Path | str,
    recipe: Recipe | Mapping[str, Any] | Path | str = DEFAULT,
    *,
    seed: int = 0,
    decisions: Path | str | None = None,
    workers: int | None = None,
    executor: ExecutorName | None = None,
    offline: bool = False,
) -> CohortFeatures:
    """Audit, cut and encode a cohort as `train` does, through the same cache, and return arrays for `SlideClassifier`.

    Args:
        cohort: an audit with the recipe's `audit` section, what was discovered, or a folder or table to discover; it
            needs no labels.
        recipe: a recipe, a packaged name, a YAML file, or keys as in one; what it says of training has no part.
        seed: of random weights and of learnt masks; 0 is a seed.
        decisions: a decisions.csv of an audit that a person edited.
        workers: processes; None takes every processor.
        executor: `local` or `ray`, a cluster (docs/how-to/ray.md); None takes `$TILEWISE_EXECUTOR`, else `local`.
            Results do not depend on it.
        offline: never reach for the network; the recipe is changed as in `train`.

    Raises:
        UsageError: the recipe trains networks on pixels, its features follow from folds or are of whole slides, or the
            cohort cannot be used.
        NoTiles: not one slide yields a tile.

    Example:
        >>> recipe = tw.load_recipe("default").with_(**{"tiles.size_px": 32})
        >>> bags, labels, groups = tw.features("my_cohort", recipe)
        >>> from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
        >>> cross_val_score(tw.SlideClassifier(), bags, labels, groups=groups, cv=StratifiedGroupKFold(3)).shape
        (3,)
    """
    from tilewise.pipeline.cohort_features import cohort_features
    from tilewise.pipeline.shared_stages import Resources

    recipe, resources = trainable(to_recipe(recipe), offline=offline), Resources(workers, offline)
    shared = to_stages(
        cohort, "train", "predict", audit=recipe.audit, decisions=decisions, seed=seed, resources=resources
    )
    with use_executor(executor, workers=workers, reads=files_of(shared.cohort)):
        return cohort_features(recipe, shared)
