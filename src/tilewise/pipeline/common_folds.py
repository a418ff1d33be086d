"""One set of folds for runs of several recipes on one cohort."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tilewise.errors import UsageError
from tilewise.execution import task
from tilewise.folds import Folds, make_folds
from tilewise.folds.common import join_items
from tilewise.pipeline.masks import readable
from tilewise.pipeline.prepared_slides import fold_items
from tilewise.pipeline.shared_stages import SharedStages
from tilewise.recipe import Recipe
from tilewise.store import digest_config


def common_folds(recipes: Sequence[Recipe], shared: SharedStages, path: Path) -> Folds:
    """One set of folds over every slide that a recipe has tiles of, cut as the first of them says, in a file.

    Raises:
        UsageError: the file holds folds of other slides.
        FoldsError: the slides cannot be split as asked.
    """
    ways = {digest_config([recipe.audit, recipe.segment, recipe.tiles]): recipe for recipe in recipes}
    items = []
    with task("ways of cutting", len(ways)) as bar:
        for recipe in ways.values():
            cut = shared.audit(recipe.audit)
            if recipe.segment.method != "none":
                cut = readable(shared.with_folds(cut, recipe).masks(cut, recipe))
            tiles, _ = shared.tiles(cut, recipe.tiles, out=None)
            items.append(fold_items(cut, tiles, recipe.folds))
            bar.advance()
    folds = make_folds(join_items(items), recipes[0].folds, seed=shared.seed)
    if path.is_file() and Folds.read(path).items != folds.items:
        raise UsageError(
            f"{path.parent} holds runs over other slides: cohort, decisions or the tiles of a variant have changed "
            "since; choose another --out, or delete that folder"
        )
    folds.write(path)
    return folds
