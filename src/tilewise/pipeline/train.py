"""Cohort and recipe in, run out."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tilewise.audit import run as audit_stage
from tilewise.audit.cohort import NO_GROUPS, AuditedCohort
from tilewise.audit.run import AuditOptions
from tilewise.cohort import Cohort
from tilewise.errors import SlideError, UsageError
from tilewise.evaluation.evaluation import Evaluation
from tilewise.evaluation.run import evaluate_predictions
from tilewise.execution import Failure, read_failures, task, write_failures
from tilewise.folds import FoldItem, Folds, make_folds
from tilewise.inference.classifier import Member, SlideClassifier
from tilewise.inference.network import SlideProbabilities
from tilewise.inference.predictions import Predictions
from tilewise.pipeline.environment import describe_environment
from tilewise.pipeline.looks import Looker, Looks, fold_targets
from tilewise.pipeline.masks import masks_for_training, segmenter_of
from tilewise.pipeline.prepare import prepare
from tilewise.pipeline.seen import FoldRequest, train_with_unlabelled
from tilewise.recipe import Recipe
from tilewise.report.audit import write_audit_report
from tilewise.report.gather import write_report
from tilewise.runs import RunFolder
from tilewise.stain.record import StainRecord
from tilewise.stain.target import choose_target
from tilewise.store import MANIFEST_NAME, Manifest, digest_config, digest_file, verify, write_json
from tilewise.tiles import run as tile_stage
from tilewise.tiles.tileset import TileSet
from tilewise.training.compose import find_generator
from tilewise.training.pseudo.candidates import candidates

_FEW_SLIDES = 2


@dataclass(frozen=True)
class TrainOptions:
    """What a run needs beside its cohort and recipe; no part of a recipe.

    Attributes:
        out: folder of the run.
        seed: of everything random.
        decisions: a decisions.csv that a person edited.
        workers: processes; None takes every processor. Results do not depend on it.
        offline: never reach for the network.
    """

    out: Path
    seed: int = 0
    decisions: Path | None = None
    workers: int | None = None
    offline: bool = False


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: where its files lie.
        evaluation: as in `evaluation.json`.
        failures: slides that could not be used.
        warnings: what a person must know before believing the score.
        was_finished: whether it was here already, whole and of the same slides, and nothing had to be done.
    """

    folder: RunFolder
    evaluation: dict[str, Any]
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...]
    was_finished: bool = False

    def classifier(self) -> SlideClassifier:
        """The deployable classifier."""
        return SlideClassifier.load(self.folder.model)

    def predictions(self) -> Predictions:
        """Predictions of the `select`, `test` and `holdout` parts."""
        return Predictions.read(self.folder.predictions)


def train(cohort: Cohort, recipe: Recipe, options: TrainOptions) -> Run:
    """Cohort and recipe in, run out. The same call goes on where a stopped one ended.

    Raises:
        UsageError: the recipe, cohort or folder cannot be used; nothing that was computed is lost.
        TrainingError: training could not go on.
    """
    folder = RunFolder(options.out)
    # Weights or a target that are missing are noticed before the long work, and before the folder is this recipe's.
    encoder, signature = prepare(recipe, seed=options.seed, workers=options.workers, offline=options.offline)
    if recipe.stain.method != "none" and recipe.stain.target != "median" and not folder.is_finished:
        choose_target(recipe.stain)
    if recipe.compose.method != "none":
        find_generator(recipe.compose)
    with folder.locked():
        folder.claim(_identity(cohort, recipe, options), recipe.to_yaml())
        asked = AuditOptions(decisions=options.decisions, workers=options.workers)
        audited = audit_stage.run(cohort, recipe.audit, asked)
        finished = _finished(folder, cohort, recipe, audited)
        if finished is not None:
            return finished
        audited = audit_stage.write(folder.audit, audited)
        write_audit_report(folder.audit, audited, cohort=cohort, workers=options.workers)
        masked = masks_for_training(
            audited,
            cohort,
            recipe,
            folder,
            seed=options.seed,
            workers=options.workers,
            offline=options.offline,
        )
        failed = list(masked.failures)
        tiles, more = tile_stage.run(masked, recipe.tiles, out=folder.tiles, workers=options.workers)
        failed += more
        folds = _folds(masked, tiles, recipe, folder, options.seed)
        folds, looks, record = _look(Looker(masked, tiles, encoder, recipe), folds, folder, options, failed)
        models = _train_folds(folds, looks, recipe, folder, options, _unlabelled(masked, looks))
        classifier = _bundle(models, folds, audited, recipe, signature, options.seed)
        classifier = replace(classifier, targets=looks.targets, segmenter=segmenter_of(recipe, folder))
        classifier.save(folder.model)
        predictions = _predict_parts(models, classifier, folds, looks)
        predictions.write(folder.predictions, inputs=_origin(folder, models, classifier))
        evaluation = evaluate_predictions(
            predictions.table, folds, recipe.evaluation, classes=folds.classes, seed=options.seed, out=folder.evaluation
        )
        environment = describe_environment(signature)
        write_json(folder.environment, environment, schema="tilewise.environment", version=1)
        write_report(folder)
        _manifest(folder, options, audited)
    return Run(folder, evaluation, tuple(failed), _warnings(cohort, recipe, audited, tiles, record))


def _finished(folder: RunFolder, cohort: Cohort, recipe: Recipe, audited: AuditedCohort) -> Run | None:
    """The run that is already here, if it is whole and of these very slides."""
    if not folder.is_finished:
        return None
    before = Manifest.read(folder.root).inputs.get("cohort")
    if before != audited.digest:
        raise UsageError(
            f"{folder.root} holds a finished run, and slides, masks, labels or groups of {cohort.root} have changed "
            "since; choose another --out, or delete that folder to train on the cohort as it is now"
        )
    if any(damage.what != "unlisted" for damage in verify(folder.root)):
        return None  # what is missing or changed is made again
    failures = read_failures(folder.failures)
    if any(failure.stage != "audit" for failure in failures):
        return None  # the slides can be read, so what failed after that may not fail again
    evaluation = Evaluation.read(folder.evaluation).to_json()
    tiles, _ = TileSet.read(folder.tiles)
    record = StainRecord.read(folder.stain) if folder.stain.is_file() else None
    return Run(folder, evaluation, failures, _warnings(cohort, recipe, audited, tiles, record), was_finished=True)


def _warnings(
    cohort: Cohort, recipe: Recipe, audited: AuditedCohort, tiles: TileSet, record: StainRecord | None
) -> tuple[str, ...]:
    """What a person must know before believing the score."""
    warnings = []
    if not audited.has_groups:
        warnings.append(NO_GROUPS)
    if recipe.folds.from_ is None and any(slide.split is not None for slide in cohort.slides):
        warnings.append(
            "The table's `split` column is not used: all slides went into the folds. --set folds.from=split scores its "
            "test part."
        )
    warnings += _typing_errors(Counter(str(item.slide.label) for item in audited.slides if item.slide.label))
    if all(item.slide.label is not None for item in audited.slides):
        idle = {"pseudo.method=confident": recipe.pseudo.method != "none"}
        idle["pretrain.use_unlabelled"] = recipe.pretrain.use_unlabelled
        warnings += [f"{key} had no effect: every slide has a label." for key, asked in idle.items() if asked]
    if audited.dropped:
        warnings.append(f"The audit dropped {len(audited.dropped)} slides; audit/report.html shows which and why.")
    if tiles.fallbacks:
        warnings.append(
            f"The masks of {len(tiles.fallbacks)} slides could not be used; their tiles were cut from "
            f"{'tissue' if recipe.tiles.fallback == 'tissue' else 'the whole slide'} instead."
        )
    warnings += [f"{name} yields no tile and takes no part: {reason}." for name, reason in tiles.skipped.items()]
    warnings += [record.sentence()] if record and record.left else []
    return tuple(warnings)


def _typing_errors(counts: Mapping[str, int]) -> list[str]:
    """Classes of a slide or two that are spelled almost like a common one."""
    found = []
    for rare, num in counts.items():
        if num > _FEW_SLIDES:
            continue
        common = [name for name in counts if counts[name] > _FEW_SLIDES * num]
        found += [
            f"Class {rare!r} has {num} slide(s) and is spelled almost like {name!r} with {counts[name]}; if that is a "
            "typing error, correct the table, or relabel it in decisions.csv."
            for name in difflib.get_close_matches(rare, common, n=1, cutoff=0.9)
        ]
    return found


def _identity(cohort: Cohort, recipe: Recipe, options: TrainOptions) -> dict[str, Any]:
    return {
        "cohort": {"root": str(cohort.root.resolve()), "layout": cohort.layout},
        "recipe": recipe.model_dump(mode="json", by_alias=True),
        "seed": options.seed,
        "decisions": None if options.decisions is None else _digest_decisions(options.decisions),
        "notes": list(cohort.notes),
        "created": datetime.now(UTC).date().isoformat(),
    }


def _digest_decisions(path: Path) -> str:
    try:
        return digest_file(path)
    except OSError as error:
        raise UsageError(f"--decisions {path}: cannot be read ({error}); give the decisions.csv of an audit") from error


def _folds(
    audited: AuditedCohort,
    tiles: TileSet,
    recipe: Recipe,
    folder: RunFolder,
    seed: int,
    without: frozenset[str] = frozenset(),
) -> Folds:
    """Make the folds and write their file; the same slides, labels, groups, options and seed give the same bytes."""
    counts = tiles.counts()
    items = [
        FoldItem(item.slide_id, item.slide.label, item.group, item.slide.split)
        for item in audited.slides
        if counts.get(item.slide_id) and item.slide_id not in without
    ]
    folds = make_folds(items, recipe.folds, seed=seed)
    folds.write(folder.folds)
    return folds


def _look(
    looker: Looker, folds: Folds, folder: RunFolder, options: TrainOptions, failed: list[Failure]
) -> tuple[Folds, Looks, StainRecord | None]:
    """Look at the tiles; slides that are lost on the way go to `failed`, and the folds are made again without them.

    A target that follows from a fold's train part changes with the fold, so that all is encoded once more.
    """
    recipe = looker.recipe
    looker, lost = looker.with_profiles(workers=options.workers)
    looks: Looks | None = None
    without: frozenset[str] = frozenset()
    while True:
        failed += lost
        write_failures(folder.failures, tuple(failed))
        if lost:
            without |= {failure.item for failure in lost}
            folds = _folds(looker.cohort, looker.tiles, recipe, folder, options.seed, without)
        targets = fold_targets(recipe.stain, looker.profiles, folds)
        if looks is None or targets != looks.targets:
            looks = looker.look(targets, without=without)
            lost = looks.failures
            if lost:
                continue
        record = looker.record(looks)
        if record is None:
            folder.stain.unlink(missing_ok=True)  # of another recipe that was stopped here
        else:
            record.write(folder.stain)
        return folds, looks, record


def _unlabelled(audited: AuditedCohort, looks: Looks) -> tuple[FoldItem, ...]:
    """Slides without a label that could be looked at; they are in no part of any fold."""
    seen = set(looks.of(0))
    return tuple(
        FoldItem(item.slide_id, None, item.group, item.slide.split)
        for item in audited.slides
        if item.slide.label is None and item.slide_id in seen
    )


def _train_folds(
    folds: Folds,
    looks: Looks,
    recipe: Recipe,
    folder: RunFolder,
    options: TrainOptions,
    unlabelled: tuple[FoldItem, ...],
) -> tuple[Member, ...]:
    labels = {item.slide_id: str(item.label) for item in folds.items}
    models = []
    with task("folds", len(folds.folds)) as bar:
        for number, fold in enumerate(folds.folds):
            request = FoldRequest(
                number=number,
                fold=fold,
                labels=labels,
                classes=folds.classes,
                recipe=recipe,
                seed=options.seed,
                offline=options.offline,
                unlabelled=candidates(unlabelled, folds, number),
            )
            models.append(train_with_unlabelled(looks.of(number), request, out=folder.fold(number)))
            bar.advance()
    return tuple(models)


def _bundle(
    models: tuple[Member, ...],
    folds: Folds,
    audited: AuditedCohort,
    recipe: Recipe,
    signature: dict[str, Any],
    seed: int,
) -> SlideClassifier:
    """The deployable classifier: every fold's model with the same weight."""
    inside = {item.slide_id: str(item.label) for item in folds.items if item.slide_id not in set(folds.holdout)}
    joined = {one["slide"] for model in models for one in model.origin.get("pseudo", {}).get("added", ())}
    joined |= {name for model in models for name in model.origin.get("pretrain", {}).get("unlabelled", ())}
    taught = inside.keys() | joined
    return SlideClassifier(
        members=models,
        weights=(1.0 / len(models),) * len(models),
        classes=folds.classes,
        recipe=recipe.model_dump(mode="json", by_alias=True),
        seed=seed,
        encoder=signature,
        label_counts=dict(sorted(Counter(inside.values()).items())),
        training_slides={item.pixel_digest: item.slide_id for item in audited.slides if item.slide_id in taught},
    )


def _predict_parts(models: tuple[Member, ...], classifier: SlideClassifier, folds: Folds, looks: Looks) -> Predictions:
    """`select` and `test` of every fold by its own model; the hold-out by the classifier that is deployed."""
    tables = []
    for number, (model, fold) in enumerate(zip(models, folds.folds, strict=True)):
        for part in ("select", "test"):
            names = fold.part(part)
            if names:
                found = looks.of(number).predict((model,), names)
                tables.append(_table(folds, found, found.probabilities_MSC[0], number, part))
    if folds.holdout:
        tables.append(_table(folds, *looks.predict(classifier, folds.holdout), -1, "holdout"))
    return Predictions.join(tables)


def _origin(folder: RunFolder, models: tuple[Member, ...], classifier: SlideClassifier) -> str:
    """Digest of what the predictions were made from: the fold file, the models and the encoder."""
    inputs = [model.origin["inputs"] for model in models]
    return digest_config([digest_file(folder.folds), inputs, list(classifier.weights), dict(classifier.encoder)])


def _table(
    folds: Folds, found: SlideProbabilities, probabilities_SC: npt.NDArray[np.float64], fold: int, part: str
) -> Predictions:
    if found.failures:  # it was read before
        failure = found.failures[0]
        raise SlideError(f"{failure.item}: {failure.message}; it was read before, see what became of it and run again")
    items = {item.slide_id: item for item in folds.items}
    rows = pd.DataFrame(
        {
            "slide": list(found.slide_ids),
            "label": [items[name].label for name in found.slide_ids],
            "group": [items[name].group for name in found.slide_ids],
            "fold": np.int32(fold),
            "part": part,
        }
    )
    return Predictions.of(rows, probabilities_SC, found.num_tiles_S, folds.classes)


def _manifest(folder: RunFolder, options: TrainOptions, audited: AuditedCohort) -> None:
    """Every file of the run with its digest, written last: a run that has it is whole."""
    files = [
        path
        for path in folder.root.rglob("*")
        if path.is_file() and path.name != MANIFEST_NAME and not path.name.startswith(".")
    ]
    Manifest.of(folder.root, files, {"seed": options.seed, "cohort": audited.digest}).write(folder.root)
