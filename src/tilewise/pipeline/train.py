"""Cohort and recipe in, run out."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tilewise.auditing.audit_cohort import write_audit
from tilewise.auditing.cohort import AuditedCohort
from tilewise.auditing.table import TableFacts
from tilewise.cohort import Cohort
from tilewise.ensemble.fold_weights import fold_weights
from tilewise.errors import NoTiles, UsageError
from tilewise.evaluation.evaluate_predictions import evaluate_predictions
from tilewise.evaluation.evaluation import Evaluation
from tilewise.execution import read_failures, task
from tilewise.folds import FoldItem, Folds
from tilewise.inference.classifier import Member
from tilewise.inference.predictions import Predictions
from tilewise.ladder.plan import LadderPlan, plan_ladder
from tilewise.pipeline.build_classifier import build_classifier
from tilewise.pipeline.doubtful_labels import save_doubtful_labels
from tilewise.pipeline.environment import describe_environment
from tilewise.pipeline.finished_run import Run
from tilewise.pipeline.fold_jobs import INNER, FoldJob, FoldTrainer, train_elsewhere
from tilewise.pipeline.masks import segmenter_of
from tilewise.pipeline.prepared_slides import PreparedSlides, prepare_slides
from tilewise.pipeline.reference_distribution import fit_reference_distribution
from tilewise.pipeline.run_identity import run_identity
from tilewise.pipeline.run_outputs import predict_holdout, predict_parts, predictions_digest
from tilewise.pipeline.shared_stages import SharedStages
from tilewise.pipeline.slide_inputs import FeatureInputs, SlideInputs
from tilewise.pipeline.tile_probabilities import save_tile_probabilities
from tilewise.recipe import Recipe
from tilewise.reporting.audit import write_audit_report
from tilewise.reporting.gather import write_report
from tilewise.run_folder import IDENTITY_COPY, RunFolder
from tilewise.score_warnings import read_warnings
from tilewise.stain.target import choose_target
from tilewise.store import Manifest, flush_together, remove_damaged, verify, write_json
from tilewise.training.fold_request import FoldRequest
from tilewise.training.pseudo.candidates import candidates
from tilewise.training.synthesis import find_generator


def train(
    recipe: Recipe,
    out: Path,
    shared: SharedStages,
    *,
    identity: dict[str, Any] | None = None,
    with_gallery: bool = True,
) -> Run:
    """Cohort and recipe in, run out. The same call goes on where a stopped one ended.

    Args:
        recipe: every choice.
        out: folder of the run.
        shared: cohort, seed and machine, and what other runs on them have made already.
        identity: what the run was made from, where it is repaired; None follows from the others.
        with_gallery: draw the audit's pictures, `audit/report.html`.

    Raises:
        UsageError: the recipe, cohort or folder cannot be used; nothing that was computed is lost.
        TrainingError: training could not go on.
    """
    folder, cohort, seed = RunFolder(out), shared.cohort, shared.seed
    with _started(recipe, folder, shared, identity) as signature:
        audited = shared.audit(recipe.audit)
        finished = _load_finished(folder, cohort, audited)
        if finished is not None:
            shared.remember(recipe, folder)
            return finished
        audited = write_audit(folder.audit, audited)
        if shared.has_pixels and with_gallery:
            others = None if audited.origin is None else audited.origin.others
            write_audit_report(folder.audit, audited, cohort=cohort, others=others, workers=shared.resources.workers)
        shared = shared.with_folds(audited, recipe)
        prepared = prepare_slides(audited, recipe, folder, shared)
        models = _train_folds(prepared, recipe, folder, shared)
        with flush_together():  # whoever resumes makes all of it again, and nothing vouches for it before the manifest
            evaluation = _write_outputs(models, prepared, audited, recipe, folder, shared, signature)
        for number in range(len(prepared.folds.folds)):
            shutil.rmtree(folder.fold(number) / INNER, ignore_errors=True)
        _manifest(folder, seed, audited)
    shared.remember(recipe, folder)
    return Run(folder, evaluation, prepared.failures, read_warnings(folder))


def prepare_run(recipe: Recipe, out: Path, shared: SharedStages) -> None:
    """Do of a run what comes before its training; `train` goes on from there. A finished run is left alone.

    Raises:
        UsageError: the recipe, cohort or folder cannot be used.
    """
    folder = RunFolder(out)
    if folder.is_finished:
        return
    with _started(recipe, folder, shared):
        audited = shared.audit(recipe.audit)
        prepare_slides(audited, recipe, folder, shared.with_folds(audited, recipe))


@contextmanager
def _started(
    recipe: Recipe, folder: RunFolder, shared: SharedStages, identity: dict[str, Any] | None = None
) -> Iterator[dict[str, Any]]:
    """Lock the folder and make it this recipe's; what the encoder is."""
    shared.check_num_folds(recipe)
    # Weights or a target that are missing are noticed before the long work, and before the folder is this recipe's.
    _, signature = shared.encoder(recipe)
    if recipe.stain.method != "none" and recipe.stain.target != "median" and not folder.is_finished:
        choose_target(recipe.stain)
    if recipe.synthesis.method != "none":
        find_generator(recipe.synthesis)
    with folder.locked():
        folder.start_or_resume(identity or run_identity(recipe, shared), recipe.to_yaml())
        yield signature


def _load_finished(folder: RunFolder, cohort: Cohort, audited: AuditedCohort) -> Run | None:
    """The run that is already here, if it is whole and of these very slides."""
    if not folder.is_finished:
        return None
    before = Manifest.read(folder.root).inputs.get("cohort")
    if before != audited.digest:
        log = folder.decision_log
        advice = (
            f"choose another --out and add --decisions {log}; deleting that folder would delete what people decided"
            if log.is_file()
            else "choose another --out, or delete that folder to train on the cohort as it is now"
        )
        raise UsageError(
            f"{folder.root} holds a finished run, and slides, masks, labels or groups of {cohort.root} have changed "
            f"since; {advice}"
        )
    damage = [one for one in verify(folder.root) if one.what != "unlisted"]
    if damage:
        # What is missing is made again, and not all that is changed would be noticed.
        remove_damaged(folder.root, damage, editable=False)
        return None
    failures = read_failures(folder.failures)
    if any(failure.stage != "audit" and failure.error != NoTiles.__name__ for failure in failures):
        return None  # the slides can be read, so what failed after that may not fail again
    evaluation = Evaluation.read(folder.evaluation)
    return Run(folder, evaluation, failures, read_warnings(folder), was_finished=True)


def _train_folds(
    prepared: PreparedSlides, recipe: Recipe, folder: RunFolder, shared: SharedStages
) -> tuple[Member, ...]:
    folds, inputs, unlabelled = prepared.folds, prepared.inputs, prepared.unlabelled
    jobs = {
        number: FoldJob(
            fold_request(recipe, number, folds, unlabelled, shared),
            _rungs(recipe, number, folds, unlabelled, shared),
            folder.fold(number),
        )
        for number in range(len(folds.folds))
    }
    closed = _closed(jobs, inputs, recipe, folder, shared) if recipe.ladder.rungs else {}
    trainer = FoldTrainer(inputs, recipe.ladder, closed, recipe.evaluation.level)
    for number, job in jobs.items():
        shared.copy_fold(recipe, number, out=job.out)
    train_elsewhere(trainer, jobs, workers=shared.resources.workers)
    models = []
    with task("folds", len(jobs)) as bar:
        for job in jobs.values():
            models.append(trainer.train(job))
            bar.advance()
    return tuple(models)


def _rungs(
    recipe: Recipe, number: int, folds: Folds, unlabelled: tuple[FoldItem, ...], shared: SharedStages
) -> dict[str, FoldRequest]:
    return {name: fold_request(rung, number, folds, unlabelled, shared) for name, rung in recipe.rungs().items()}


def _write_outputs(
    models: tuple[Member, ...],
    prepared: PreparedSlides,
    audited: AuditedCohort,
    recipe: Recipe,
    folder: RunFolder,
    shared: SharedStages,
    signature: dict[str, Any],
) -> Evaluation:
    """Write what is known once the folds' models are there: classifier, predictions, scores, report."""
    masked, tiles, folds, inputs = prepared.masked, prepared.tiles, prepared.folds, prepared.inputs
    seed = shared.seed
    parts = predict_parts(models, folds, inputs)
    weights = fold_weights(parts, folds, recipe.ensemble, seed=seed, metric=recipe.evaluation.metric)
    reference_distribution = fit_reference_distribution(models, folds, inputs, tiles.counts())
    all_inputs, inputs = inputs, inputs.of(*(number for number, weight in enumerate(weights) if weight))
    classifier = build_classifier(models, weights, folds, audited, recipe, signature, seed)
    classifier = replace(
        classifier,
        targets=inputs.targets,
        segmenter=segmenter_of(recipe, folder),
        reference_distribution=reference_distribution,
        calibration=parts.fit_calibration(),
    )
    classifier.save(folder.model)
    predictions = Predictions.join([parts, *predict_holdout(classifier, folds, inputs)]).calibrated()
    predictions.write(folder.predictions, inputs=predictions_digest(folder, models, classifier))
    evaluation = evaluate_predictions(
        predictions.table,
        folds,
        recipe.evaluation,
        classes=folds.classes,
        seed=seed,
        facts=TableFacts.of(audited),
        out=folder.evaluation,
    )
    save_doubtful_labels(folder, predictions)
    save_tile_probabilities(folder, predictions, models, weights, all_inputs)
    vectors = inputs.mean_vectors if isinstance(inputs, FeatureInputs) else None
    slide_ids = [item.slide_id for item in folds.items]
    shared.shortcuts(masked, slide_ids, recipe.evaluation, vectors).write(folder.shortcuts)
    environment = describe_environment(signature)
    write_json(folder.environment, environment, schema="tilewise.environment", version=1)
    write_report(folder)
    return evaluation


def _closed(
    jobs: Mapping[int, FoldJob], inputs: SlideInputs[Any], recipe: Recipe, folder: RunFolder, shared: SharedStages
) -> Mapping[str, str]:
    """Rungs for which there is no time, and why; a run that is resumed keeps to what it said first."""
    deadline = shared.resources.deadline
    if not folder.ladder.is_file():
        if deadline is None:
            return {}
        plan_ladder(
            jobs[0].rungs,
            recipe.ladder,
            inputs.of(0),
            num_folds=len(jobs),
            seconds_left=deadline - time.monotonic(),
            out=folder.fold(0) / INNER / "measured",
        ).write(folder.ladder)
    return LadderPlan.read(folder.ladder).closed


def fold_request(
    recipe: Recipe, number: int, folds: Folds, unlabelled: tuple[FoldItem, ...], shared: SharedStages
) -> FoldRequest:
    """What the model of a fold is trained from."""
    return FoldRequest(
        number=number,
        fold=folds.folds[number],
        labels={item.slide_id: str(item.label) for item in folds.items},
        classes=folds.classes,
        head=recipe.head,
        training=recipe.training,
        seed=shared.seed,
        metric=recipe.evaluation.metric,
        groups={item.slide_id: item.group for item in (*folds.items, *unlabelled) if item.group is not None},
        unlabelled=candidates(unlabelled, folds, number),
        pseudo=recipe.pseudo,
        network=recipe.network,
        encoder=recipe.encoder,
        augment=recipe.augment,
        synthesis=recipe.synthesis,
        pretrain=recipe.pretrain,
        offline=shared.resources.offline,
    )


def _manifest(folder: RunFolder, seed: int, audited: AuditedCohort) -> None:
    """Every file of the run with its digest, written last: a run that has it is whole."""
    # The identity is there twice, for nothing else could make a damaged one again.
    inputs = {"seed": seed, "cohort": audited.digest, IDENTITY_COPY: folder.identity.read_text(encoding="utf-8")}
    Manifest.of_folder(folder.root, inputs).write(folder.root)
