"""What a run is used for: predict, explain."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tilewise.api.coerce import (
    checked,
    feature_stages,
    files_of,
    to_cohort,
    to_folder,
    to_path,
    to_stages,
)
from tilewise.errors import ArgumentError, UsageError
from tilewise.execution import ExecutorName, use_executor

if TYPE_CHECKING:
    from tilewise.cohort import Cohort
    from tilewise.explain.config import ExplainConfig
    from tilewise.pipeline.explanation import ExplainResult
    from tilewise.pipeline.finished_run import Run
    from tilewise.pipeline.imported_features import ImportedFeatures
    from tilewise.pipeline.predict import PredictionResult
    from tilewise.run_folder import RunFolder


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
