"""Several runs beside each other or as one: sweep, learning_curve, ensemble."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from tilewise.api.coerce import (
    check_run_place,
    checked,
    feature_stages,
    files_of,
    require_local,
    start_workers,
    to_features,
    to_folder,
    to_stages,
)
from tilewise.errors import ArgumentError
from tilewise.execution import ExecutorName, use_executor

if TYPE_CHECKING:
    from tilewise.auditing.cohort import AuditedCohort
    from tilewise.cohort import Cohort, LabelTables
    from tilewise.ensemble.methods import Method
    from tilewise.learning_curve.draw_curve import LearningCurve
    from tilewise.pipeline.estimate_run import RunEstimate
    from tilewise.pipeline.finished_run import Run
    from tilewise.run_folder import RunFolder
    from tilewise.sweep.grid import Grid
    from tilewise.sweep.sweep import Sweep

_log = logging.getLogger(__name__)


@checked
def sweep(  # noqa: PLR0913 - one argument per option of the command, all by name
    cohort: AuditedCohort | Cohort | Path | str,
    grid: Grid | Path | str,
    *,
    out: Path | str,
    labels: LabelTables | Path | str | None = None,
    seed: int = 0,
    decisions: Path | str | None = None,
    workers: int | None = None,
    executor: ExecutorName | None = None,
    offline: bool = False,
) -> Sweep:
    """Train variants of a recipe on the same folds and compare them; a stopped call is resumed.

    Args:
        cohort: an audit, which variants with its `audit` section do not make again; what was discovered; or a folder or
            table to discover.
        grid: what varies: a grid, or a packaged name or YAML file.
        out: folder for the table and, in `variants/`, a run for each variant.
        labels: table of slides and labels for a folder of features of another program, as in `train`; what is varied
            are then heads and training.
        seed: of everything random, the same for all variants.
        decisions: a decisions.csv of an audit that a person edited.
        workers: processes; None takes every processor.
        executor: `local` or `ray`, a cluster (docs/how-to/ray.md); None takes `$TILEWISE_EXECUTOR`, else `local`.
            Results do not depend on it.
        offline: never reach for the network; variants are changed as in `train`, and the table says how. Rows of the
            grid that come to the same recipe are one variant.

    Raises:
        RecipeError: the grid or a variant is not valid; nothing was run.
        UsageError: the cohort or folder cannot be used.
    """
    start_workers(workers, executor)
    from tilewise.pipeline.shared_stages import Resources
    from tilewise.sweep.grid import Grid, load_grid
    from tilewise.sweep.page import notices
    from tilewise.sweep.sweep import sweep_cohort
    from tilewise.sweep.variants import variants_of

    if not isinstance(grid, Grid | str | os.PathLike):
        raise ArgumentError(f"grid: expected a Grid, a packaged name or a YAML file, not a {type(grid).__name__}")
    chosen = grid if isinstance(grid, Grid) else load_grid(grid)
    features = to_features(cohort, labels)
    variants = variants_of(chosen, offline=offline and features is None)
    for notice in notices(variants):
        _log.warning("%s", notice)  # before the long work
    resources = Resources(workers, offline)
    if features is None:
        shared = to_stages(cohort, "train", decisions=decisions, seed=seed, resources=resources)
    else:
        variants = tuple(replace(one, recipe=features.varied_recipe(one.recipe, one.settings)) for one in variants)
        shared = feature_stages(features, seed, resources, decisions)
    check_run_place(Path(out), shared.cohort)
    with use_executor(executor, workers=workers, reads=files_of(shared.cohort), writes=[Path(out)]):
        return sweep_cohort(chosen, variants, Path(out), shared)


@checked
def estimate_sweep(  # noqa: PLR0913 - as `sweep`
    cohort: Cohort | Path | str,
    grid: Grid | Path | str,
    *,
    out: Path | str,
    seed: int = 0,
    decisions: Path | str | None = None,
    workers: int | None = None,
    executor: ExecutorName | None = None,
    offline: bool = False,
) -> RunEstimate:
    """Say what `sweep` would do, what of it lies in the cache, and roughly how long it takes: a few slides are timed.

    Variants that are finished in `out` are left out, and what several share counts once. Nothing is written that stays.

    Args:
        cohort: what was discovered, or a folder or table to discover.
        grid: what varies, as in `sweep`.
        out: folder that the sweep would have.
        seed: of everything random.
        decisions: a decisions.csv of an audit that a person edited; it is checked.
        workers: processes that the sweep would have; None takes every processor.
        executor: `local` alone, for slides are timed on this machine; None takes `$TILEWISE_EXECUTOR`, else `local`.
        offline: never reach for the network; variants are changed as in `sweep`.

    Raises:
        RecipeError: the grid or a variant is not valid.
        UsageError: the cohort or folder cannot be used, a variant cannot be trained here, or the folder holds another
            sweep.

    Example:
        >>> estimate = tw.api.estimate_sweep("my_cohort", "heads", out="sweeps/heads")
        >>> estimate.num_runs, estimate.unit
        (12, 'variant')
    """
    from tilewise.pipeline.shared_stages import Resources
    from tilewise.sweep.estimate_sweep import estimate_sweep as estimate
    from tilewise.sweep.grid import Grid, load_grid
    from tilewise.sweep.page import notices
    from tilewise.sweep.variants import variants_of

    require_local(executor)
    chosen = grid if isinstance(grid, Grid) else load_grid(grid)
    variants = variants_of(chosen, offline=offline)
    for notice in notices(variants):
        _log.warning("%s", notice)
    shared = to_stages(cohort, "train", decisions=decisions, seed=seed, resources=Resources(workers, offline))
    check_run_place(Path(out), shared.cohort)
    return estimate(chosen.name, variants, Path(out), shared)


@checked
def learning_curve(  # noqa: PLR0913 - one argument per option of the command, all by name
    run: Run | RunFolder | Path | str,
    cohort: Cohort | Path | str,
    *,
    out: Path | str,
    labels: LabelTables | Path | str | None = None,
    shares: Sequence[float] = (0.25, 0.4, 0.6, 0.8),
    num_draws: int = 3,
    workers: int | None = None,
    executor: ExecutorName | None = None,
    offline: bool = False,
) -> LearningCurve:
    """Train a run's recipe with fewer slides, and say whether more would help; a stopped call is resumed.

    Test parts stay whole, so that points differ by the slides that were learnt from alone. The run's report shows the
    curve from then on.

    Args:
        run: a finished run.
        cohort: that it was trained on: what was discovered, or its folder or table.
        out: folder for `curve.html`, `curve.json` and a run for each point.
        labels: table of slides and labels, where the run was trained on a folder of features.
        shares: of the run's slides, above 0 and below 1.
        num_draws: trainings at each share, with other slides.
        workers: processes; None takes every processor.
        executor: `local` or `ray`, a cluster (docs/how-to/ray.md); None takes `$TILEWISE_EXECUTOR`, else `local`.
            Results do not depend on it.
        offline: never reach for the network.

    Raises:
        UsageError: the run is not finished or of other slides, or the folder cannot be used.
    """
    from tilewise.learning_curve.draw_curve import draw_curve
    from tilewise.pipeline.shared_stages import Resources
    from tilewise.reporting.gather import report_html
    from tilewise.store import Manifest

    folder = to_folder(run)
    identity = folder.require_finished()
    decisions = folder.audit / "decisions.csv" if identity.get("decisions") else None
    resources = Resources(workers, offline)
    features, seed = to_features(cohort, labels), int(identity["seed"])
    if features is None:
        shared = to_stages(cohort, "train", decisions=decisions, seed=seed, resources=resources)
    else:
        shared = feature_stages(features, seed, resources, decisions)
    check_run_place(Path(out), shared.cohort)
    with use_executor(executor, workers=workers, reads=files_of(shared.cohort), writes=[Path(out)]):
        curve = draw_curve(folder, Path(out), shared, shares=shares, num_draws=num_draws)
    # One after the other, so that a run whose curve was stopped here is whole.
    with folder.locked():
        Manifest.rewrite(folder.root, folder.learning_curve, curve.data.read_bytes())
        Manifest.rewrite(folder.root, folder.report, report_html(folder).encode())
    return curve


@checked
def ensemble(runs: Sequence[Run | Path | str], method: Method = "average", *, out: Path | str, seed: int = 0) -> Run:
    """Combine finished runs of the same cohort and folds into one run, fitted on their `validation` predictions alone.

    Args:
        runs: two or more runs, or their folders.
        method: `average`, `weighted`, `greedy`, `stack-logistic`, `stack-boosting` or `stack-boosting-ovr`.
        out: folder of the combined run; it must be new, empty, or hold this very combination.
        seed: of what is random in the fits and of the intervals; 0 is a seed.

    Raises:
        UsageError: a folder holds no finished run, the runs differ in slides, labels, groups or folds, or `out` holds
            another run.
        ArtifactError: a run is damaged.
    """
    from tilewise.ensemble.methods import Method
    from tilewise.pipeline.ensemble import EnsembleOptions
    from tilewise.pipeline.ensemble import ensemble as combine

    if isinstance(runs, str | os.PathLike):
        raise ArgumentError(f"runs: expected several runs or their folders, not one path ({os.fspath(runs)})")
    if method not in get_args(Method):
        raise ArgumentError(f"method={method!r}: give one of {', '.join(get_args(Method))}")
    check_run_place(Path(out))
    return combine([to_folder(run) for run in runs], EnsembleOptions(Path(out), method, seed))
