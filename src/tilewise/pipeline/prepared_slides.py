"""An audited cohort in; its tiles, its folds and what models take of its slides out."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from tilewise.auditing.cohort import AuditedCohort
from tilewise.ensemble.fold_weights import check_ensemble
from tilewise.execution import Failure, write_failures
from tilewise.folds import FoldItem, Folds, FoldsConfig, make_folds
from tilewise.folds.common import restrict
from tilewise.pipeline.masks import masks_for_training
from tilewise.pipeline.shared_stages import SharedStages
from tilewise.pipeline.slide_inputs import SlideInputs
from tilewise.pipeline.tile_preparer import TilePreparer, fold_targets
from tilewise.recipe import Recipe
from tilewise.run_folder import RunFolder
from tilewise.tiles.tile_cohort import without_tiles
from tilewise.tiles.tileset import TileSet


@dataclass(frozen=True)
class PreparedSlides:
    """All that training needs.

    Attributes:
        masked: the cohort with the masks that tiles are cut by.
        tiles: of these slides.
        folds: of the slides that have a tile and can be read.
        inputs: slides as the recipe's models take them.
        failures: slides that take no part, and what happened.
    """

    masked: AuditedCohort
    tiles: TileSet
    folds: Folds
    inputs: SlideInputs[Any]
    failures: tuple[Failure, ...]

    @property
    def unlabelled(self) -> tuple[FoldItem, ...]:
        """Slides without a label that could be looked at; they are in no part of any fold."""
        readable = set(self.inputs)
        return tuple(
            FoldItem(item.slide_id, None, item.group, item.slide.split)
            for item in self.masked.slides
            if item.slide.label is None and item.slide_id in readable
        )


def prepare_slides(audited: AuditedCohort, recipe: Recipe, folder: RunFolder, shared: SharedStages) -> PreparedSlides:
    """Make masks where the recipe asks for them, cut tiles, encode or decode them, and write the folds.

    Args:
        audited: the cohort.
        recipe: how.
        folder: where tiles, folds, failures and the record of stains go.
        shared: what was made already.

    Raises:
        FoldsError: the slides cannot be split as asked, or the folds cannot be weighed as asked.
        UsageError: a method cannot be used here.
        TrainingError: a U-Net could not be trained.
    """
    masked = masks_for_training(audited, recipe, folder, shared)
    tiles, failures = shared.tiles(masked, recipe.tiles, out=folder.tiles)
    failed = [*masked.failures, *failures, *without_tiles(masked, tiles, recipe.tiles)]
    workers = shared.resources.workers

    def cut(without: AbstractSet[str]) -> Folds:
        return _write_folds(fold_items(masked, tiles, recipe.folds, without), recipe, folder, shared)

    folds, without = cut(frozenset()), frozenset[str]()
    preparer, no_profile = shared.preparer(masked, tiles, recipe).with_profiles(workers=workers)
    preparer, no_context = preparer.with_context(out=folder.outside, workers=workers)
    lost: Sequence[Failure] = (*no_profile, *no_context)
    inputs: SlideInputs[Any] | None = None
    while True:
        failed += lost
        write_failures(folder.failures, tuple(failed))
        if lost:
            without |= {failure.item for failure in lost}
            folds = cut(without)
        # A target that follows from a fold's train part changes with the fold, so that all is encoded once more.
        targets = fold_targets(recipe.stain, preparer.profiles, folds)
        if inputs is None or targets != inputs.targets:
            inputs = preparer.prepare(targets, without=without)
            lost = inputs.failures
            if lost:
                continue
        _record_stains(preparer, inputs, folder)
        return PreparedSlides(masked, tiles, folds, inputs, tuple(failed))


def fold_items(
    cohort: AuditedCohort, tiles: TileSet, config: FoldsConfig, without: AbstractSet[str] = frozenset()
) -> list[FoldItem]:
    """The slides that have a tile, as folds of this config see them."""
    counts = tiles.counts()
    return [
        item
        for item in FoldItem.of_cohort(cohort, config.column)
        if counts.get(item.slide_id) and item.slide_id not in without
    ]


def _write_folds(items: Sequence[FoldItem], recipe: Recipe, folder: RunFolder, shared: SharedStages) -> Folds:
    """The same slides, labels, groups, options and seed give the same bytes."""
    of_all = shared.folds
    folds = make_folds(items, recipe.folds, seed=shared.seed) if of_all is None else restrict(of_all, items)
    check_ensemble(folds, recipe.ensemble)
    folds.write(folder.folds)
    return folds


def _record_stains(preparer: TilePreparer, inputs: SlideInputs[Any], folder: RunFolder) -> None:
    record = preparer.record(inputs, inputs.num_unnormalised())
    if record is None:
        folder.stain.unlink(missing_ok=True)  # of another recipe that was stopped here
    else:
        record.write(folder.stain)
