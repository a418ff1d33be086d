"""The cohort's masks, made anew where the recipe asks for it: in training, and again on new slides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tilewise.auditing.cohort import AuditedCohort
from tilewise.inference.classifier import ClassifierBundle
from tilewise.pipeline.shared_stages import SharedStages
from tilewise.recipe import Recipe
from tilewise.run_folder import RunFolder
from tilewise.segment.config import SegmentConfig, UNetConfig
from tilewise.segment.output import NETWORKS, write_output
from tilewise.segment.segment_cohort import Segmentation, segment_cohort


def masks_for_training(
    audited: AuditedCohort, recipe: Recipe, folder: RunFolder, shared: SharedStages
) -> AuditedCohort:
    """The cohort with the masks that tiles are cut by; slides that could not be read for them are failures.

    Masks, scores, pictures and networks are written into the run's folder.

    Raises:
        UsageError: the method cannot be used here.
        TrainingError: a U-Net could not be trained.
    """
    if recipe.segment.method == "none":
        return audited
    made = shared.masks(audited, recipe)
    workers = shared.resources.workers
    write_output(folder.segment, made, shared.cohort, recipe.segment, seed=shared.seed, workers=workers)
    return readable(made)


def segmenter_of(recipe: Recipe, folder: RunFolder) -> Path | None:
    """The U-Nets that make the masks of new slides; None where masks are not learnt."""
    if recipe.segment.method != "unet":
        return None
    return recipe.segment.unet.networks or folder.segment / NETWORKS


def masks_for_prediction(
    audited: AuditedCohort, config: SegmentConfig, classifier: ClassifierBundle, *, workers: int | None, offline: bool
) -> AuditedCohort:
    """New slides with masks made as in training, by the networks that were trained then.

    Raises:
        UsageError: the method cannot be used here.
    """
    if config.method == "none":
        return audited
    if classifier.segmenter is not None:
        config = config.model_copy(update={"unet": UNetConfig(networks=classifier.segmenter)})
    made = segment_cohort(audited, config, seed=classifier.seed, workers=workers, offline=offline)
    return readable(made)


def readable(made: Segmentation) -> AuditedCohort:
    """The cohort of the masks that were made, without the slides that could not be read for them."""
    failed = {failure.item for failure in made.failures}
    return replace(made.cohort, slides=tuple(item for item in made.cohort.slides if item.slide_id not in failed))
