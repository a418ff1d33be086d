"""What is learnt, compared and used: train, features, sweep, ensemble, predict, explain."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from tilewise.api.coerce import (
    checked,
    feature_stages,
    files_of,
    to_cohort,
    to_features,
    to_folder,
    to_path,
    to_recipe,
    to_seconds,
    to_stages,
)
from tilewise.errors import ArgumentError, UsageError
from tilewise.execution import ExecutorName, chosen_executor, use_executor
from tilewise.recipe import DEFAULT, Recipe
from tilewise.store import check_out_place, check_outside_runs

if TYPE_CHECKING:
    from tilewise.auditing.cohort import AuditedCohort
    from tilewise.cohort import Cohort, LabelTables
    from tilewise.ensemble.methods import Method
    from tilewise.explain.config import ExplainConfig
    from tilewise.learning_curve.draw_curve import LearningCurve
    from tilewise.pipeline.cohort_features import CohortFeatures
    from tilewise.pipeline.estimate_run import RunEstimate
    from tilewise.pipeline.explain import ExplainResult
    from tilewise.pipeline.finished_run import Run
    from tilewise.pipeline.imported_features import ImportedFeatures
    from tilewise.pipeline.predict import PredictionResult
    from tilewise.run_folder import RunFolder
    from tilewise.sweep.grid import Grid
    from tilewise.sweep.sweep import Sweep

_log = logging.getLogger(__name__)


def _check_run(out: Path, *cohorts: Cohort) -> None:
    from tilewise.cohort.inputs import inputs_of

    check_out_place(out, contents="run", inputs=inputs_of(*cohorts))
    check_outside_runs(out)


def _trainable(recipe: Recipe, *, offline: bool) -> Recipe:
    """The recipe, or what stands in for it where weights are not on this machine and must not be fetched."""
    from tilewise.pipeline.offline import offline_recipe

    if not offline:
        return recipe
    recipe, notes = offline_recipe(recipe)
    for note in notes:
        _log.warning("%s", note)  # before the long work
    return recipe


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
    from tilewise.pipeline import train as pipeline
    from tilewise.pipeline.shared_stages import Resources

    features = to_features(cohort, labels)
    recipe = to_recipe(recipe)
    recipe = _trainable(recipe, offline=offline) if features is None else features.recipe(recipe)
    resources = Resources(workers, offline, _deadline(recipe, time_limit))
    if features is None:
        shared = to_stages(cohort, "train", audit=recipe.audit, decisions=decisions, seed=seed, resources=resources)
    else:
        shared = feature_stages(features, seed, resources, decisions)
    folder = to_path(out) or Path("runs") / f"{shared.cohort.root.stem}-{recipe.name}"
    _check_run(folder, shared.cohort)
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

    if chosen_executor(executor) == "ray":
        raise UsageError("a run is estimated on this machine, and no cluster is known; choose the executor `local`")
    recipe = _trainable(to_recipe(recipe), offline=offline)
    resources = Resources(workers, offline, _deadline(recipe, time_limit))
    shared = to_stages(cohort, "train", decisions=decisions, seed=seed, resources=resources)
    folder = to_path(out) or Path("runs") / f"{shared.cohort.root.stem}-{recipe.name}"
    _check_run(folder, shared.cohort)
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

    recipe, resources = _trainable(to_recipe(recipe), offline=offline), Resources(workers, offline)
    shared = to_stages(
        cohort, "train", "predict", audit=recipe.audit, decisions=decisions, seed=seed, resources=resources
    )
    with use_executor(executor, workers=workers, reads=files_of(shared.cohort)):
        return cohort_features(recipe, shared)


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
    _check_run(Path(out), shared.cohort)
    with use_executor(executor, workers=workers, reads=files_of(shared.cohort), writes=[Path(out)]):
        return sweep_cohort(chosen, variants, Path(out), shared)


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
    _check_run(Path(out), shared.cohort)
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
    _check_run(Path(out))
    return combine([to_folder(run) for run in runs], EnsembleOptions(Path(out), method, seed))


@checked
def predict(
    run: Run | Path | str,
    cohort: Cohort | Path | str,
    *,
    out: Path | str | None = None,
    workers: int | None = None,
    executor: ExecutorName | None = None,
    offline: bool = False,
) -> PredictionResult:
    """Classify the slides of a cohort with a trained run.

    Args:
        run: a run, or its folder.
        cohort: discovered with `purpose="predict"`, or a folder or table to discover so; of a run on features of
            another program, a folder of such features.
        out: where the submission goes, its details beside it; None writes nothing.
        workers: processes; None takes every processor.
        executor: `local` or `ray`, a cluster (docs/how-to/ray.md); None takes `$TILEWISE_EXECUTOR`, else `local`.
            Results do not depend on it.
        offline: never reach for the network.

    Raises:
        UsageError: the folder holds no finished run.
        ArtifactError: its classifier is damaged.
        EncoderUnavailable: the encoder's weights are not here, or are others than in training.

    Example:
        >>> run = tw.Run.open("runs/first")
        >>> tw.predict(run, "my_test_folder").table["slide"].tolist()
        ['new_0.png', 'new_1.png']
    """
    from tilewise.inference.classifier import CLASSIFIER_NAME
    from tilewise.inference.load_classifier import load_classifier
    from tilewise.pipeline import predict as pipeline
    from tilewise.pipeline.imported_features import ImportedFeatures, takes_features

    folder = to_folder(run)
    folder.require_finished()
    classifier = load_classifier(folder.model)
    features = None
    if takes_features(classifier) and isinstance(cohort, str | os.PathLike):
        features = ImportedFeatures.read(Path(cohort), None, purpose="predict")
    cohort = to_cohort(cohort, "predict") if features is None else features.cohort
    place, classifier_file = to_path(out), folder.model / CLASSIFIER_NAME
    with use_executor(executor, workers=workers, reads=[*files_of(cohort), classifier_file]):
        return pipeline.predict(classifier, cohort, out=place, features=features, workers=workers, offline=offline)


@checked
def explain(  # noqa: PLR0913 - one argument per option of the command, all by name
    run: Run | Path | str,
    cohort: Cohort | Path | str | None = None,
    *,
    out: Path | str | None = None,
    pixels: Path | str | None = None,
    config: ExplainConfig | None = None,
    workers: int | None = None,
    executor: ExecutorName | None = None,
    offline: bool = False,
) -> ExplainResult:
    """Draw and check where a run sees a class: tile probabilities, attention, occlusion, Grad-CAM of networks.

    Without slides the run's own are explained, each by the model of the fold that tests it, which knew neither it nor
    its group: some that are predicted wrong, some most unsure, some right, with a map of the cohort by its features.

    Args:
        run: a run, or its folder; not one that `ensemble` made.
        cohort: new slides, discovered with `purpose="predict"`, or a folder or table to discover so; of a run on
            features of another program, a folder of such features. None takes those of the run.
        out: folder for a picture and a GeoJSON file of each slide, `explain.csv` and `explain.html`; new, empty or of
            an earlier call. None takes `RUN-explained` beside the run.
        pixels: of a run on features of another program, the folder of the slides, to draw on them. None draws tiles as
            rectangles on a blank, in microns where no file tells how many a pixel has.
        config: which slides and which class; None takes all new slides, or nine of the run's own, and the class
            predicted for each.
        workers: processes; None takes every processor.
        executor: `local` or `ray`, a cluster (docs/how-to/ray.md); None takes `$TILEWISE_EXECUTOR`, else `local`.
            Results do not depend on it.
        offline: never reach for the network.

    Raises:
        UsageError: the folder holds no finished run, or one of several runs, `out` holds other things, `pixels` fits
            none of the features or the run looks at slides, a slide or the class is unknown, the cohort has changed
            since the run, or the library grad-cam is needed and not installed.
        ArtifactError: its classifier is damaged.
        EncoderUnavailable: the encoder's weights are not here, or are others than in training.

    Example:
        >>> result = tw.api.explain("runs/first", "my_test_folder", out="maps")
        >>> sorted(result.pictures)
        ['new_0.png', 'new_1.png']
    """
    from tilewise.explain.config import ExplainConfig
    from tilewise.inference.classifier import CLASSIFIER_NAME
    from tilewise.inference.load_classifier import load_classifier
    from tilewise.pipeline.explain import explain as explain_new
    from tilewise.pipeline.explain import single_classifier
    from tilewise.pipeline.explain_run import explain_run
    from tilewise.pipeline.imported_features import takes_features
    from tilewise.pipeline.shared_stages import Resources

    if config is not None and not isinstance(config, ExplainConfig):
        raise ArgumentError(f"config: expected an ExplainConfig or None, not a {type(config).__name__}")
    folder, config = to_folder(run), config or ExplainConfig()
    identity = folder.require_finished()
    place = to_path(out) or folder.root.resolve().with_name(f"{folder.root.resolve().name}-explained")
    classifier = load_classifier(folder.model)
    seed, resources = int(identity["seed"]), Resources(workers, offline)
    if takes_features(classifier):
        features, is_new = _features_to_explain(folder, cohort, pixels), cohort is not None
        with use_executor(executor, workers=workers, reads=files_of(features.cohort), writes=[place]):
            if is_new:
                return explain_new(classifier, features.cohort, config, out=place, features=features, workers=workers)
            single_classifier(classifier)
            return explain_run(folder, feature_stages(features, seed, resources, None), config, out=place)
    if pixels is not None:
        raise UsageError(f"--pixels is for runs on features of another program, and {folder.root} looks at slides")
    if cohort is not None:
        new, classifier_file = to_cohort(cohort, "predict"), folder.model / CLASSIFIER_NAME
        with use_executor(executor, workers=workers, reads=[*files_of(new), classifier_file], writes=[place]):
            return explain_new(classifier, new, config, out=place, workers=workers, offline=offline)
    single_classifier(classifier)
    decisions = folder.audit / "decisions.csv" if identity.get("decisions") else None
    shared = to_stages(identity["cohort"]["root"], "train", decisions=decisions, seed=seed, resources=resources)
    with use_executor(executor, workers=workers, reads=files_of(shared.cohort), writes=[place]):
        return explain_run(folder, shared, config, out=place)


def _features_to_explain(folder: RunFolder, cohort: object, pixels: Path | str | None) -> ImportedFeatures:
    """Features of a run, or new ones of a folder, with the places of their tiles."""
    from tilewise.pipeline.imported_features import ImportedFeatures

    if cohort is None:
        return ImportedFeatures.of_run(folder).drawable(to_path(pixels))
    if not isinstance(cohort, str | os.PathLike):
        raise ArgumentError("cohort: the run was trained on features of another program; give a folder of such")
    return ImportedFeatures.read(Path(cohort), None, purpose="predict").drawable(to_path(pixels))
