"""Slides with tiles in, the fold file out."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from tilewise.auditing.cohort import AuditedCohort
from tilewise.ensemble.fold_weights import check_ensemble
from tilewise.folds import FoldItem, Folds, FoldsConfig, make_folds
from tilewise.folds.common import restrict
from tilewise.pipeline.shared_stages import SharedStages
from tilewise.recipe import Recipe
from tilewise.run_folder import RunFolder
from tilewise.tiles.tileset import TileSet


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


@dataclass(frozen=True)
class FoldInputs:
    """Everything that folds are made from.

    Attributes:
        cohort: whose slides these are.
        tiles: of these slides.
        recipe: how folds are cut.
        folder: where their file goes.
        shared: the seed, and the folds that other runs have in common with this one.
    """

    cohort: AuditedCohort
    tiles: TileSet
    recipe: Recipe
    folder: RunFolder
    shared: SharedStages

    def folds(self, without: AbstractSet[str] = frozenset()) -> Folds:
        """Make the folds and write their file; the same slides, labels, groups, options and seed give the same bytes.

        Raises:
            FoldsError: the slides cannot be split as asked, or the folds cannot be weighed as asked.
        """
        items = fold_items(self.cohort, self.tiles, self.recipe.folds, without)
        shared = self.shared.folds
        folds = (
            make_folds(items, self.recipe.folds, seed=self.shared.seed) if shared is None else restrict(shared, items)
        )
        check_ensemble(folds, self.recipe.ensemble)
        folds.write(self.folder.folds)
        return folds
