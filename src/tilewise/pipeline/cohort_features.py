"""Cohort and recipe in, the slides' feature vectors as arrays out: what a run would learn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewise.errors import UsageError
from tilewise.execution import Failure
from tilewise.pipeline.masks import readable
from tilewise.pipeline.shared_stages import SharedStages
from tilewise.pipeline.slide_inputs import FeatureInputs
from tilewise.pipeline.tile_preparer import TilePreparer
from tilewise.recipe import Recipe
from tilewise.stain.target import choose_target
from tilewise.tiles.tile_cohort import without_tiles
from tilewise.wording import count


@dataclass(frozen=True, repr=False)
class CohortFeatures:
    """Feature vectors of slides as `SlideClassifier` takes them; unpacks into bags, labels and groups.

    Attributes:
        bags: S arrays, float32 (N, D): the vectors of a slide's tiles. Views that only training may see are left out.
        labels: (S,), str; None for a slide without a label.
        groups: (S,), str: slides of one group belong on one side of every split.
        slide_ids: S names, in the cohort's order.
        failures: slides that take no part, and why.
    """

    bags: npt.NDArray[np.object_]
    labels: npt.NDArray[np.object_]
    groups: npt.NDArray[np.object_]
    slide_ids: tuple[str, ...]
    failures: tuple[Failure, ...] = ()

    def __iter__(self) -> Iterator[npt.NDArray[np.object_]]:
        return iter((self.bags, self.labels, self.groups))

    def __repr__(self) -> str:
        counts = Counter(self.labels)
        labels = ", ".join(f"{name or 'no label'} {counts[name]}" for name in sorted(counts, key=str))
        num_tiles = sum(len(bag) for bag in self.bags)
        return (
            f"<CohortFeatures: {count(num_tiles, 'tile')} of {count(len(self.bags), 'slide')} ({labels}), "
            f"{self.bags[0].shape[1]} features each>"
        )


def cohort_features(recipe: Recipe, shared: SharedStages) -> CohortFeatures:
    """Audit, cut and encode slides as `train` does, through the same cache.

    Raises:
        UsageError: the recipe trains networks on pixels, its features follow from folds or are of whole slides, or the
            cohort cannot be used.
        NoTiles: not one slide yields a tile.
    """
    if recipe.training.input != "features":
        raise UsageError("training.input=tiles: networks take pixels, and there are no features; set it to features")
    if recipe.stain.target == "median":
        raise UsageError("stain.target=median follows from the train part of a fold; set it to standard or a file")
    if recipe.features.has_context:
        raise UsageError(
            "features.context and features.context_shape describe slides, and bags hold tiles; leave them out with "
            'recipe.with_(**{"features.context": None, "features.context_shape": None})'
        )
    targets = () if recipe.stain.method == "none" else (choose_target(recipe.stain),)
    encoder, _ = shared.encoder(recipe)
    masked = shared.audit(recipe.audit)
    if recipe.segment.method != "none":
        masked = readable(shared.masks(masked, recipe))
    tiles, failures = shared.tiles(masked, recipe.tiles, out=None)
    preparer, lost = TilePreparer(masked, tiles, encoder, recipe).with_profiles(workers=shared.resources.workers)
    inputs = preparer.prepare(targets, without={failure.item for failure in lost})
    assert isinstance(inputs, FeatureInputs)
    bags = inputs.bags[0]
    slides = [item for item in masked.slides if item.slide_id in bags]
    return CohortFeatures(
        _objects([bags[item.slide_id].features_ND for item in slides]),
        _objects([item.slide.label for item in slides]),
        _objects([item.group for item in slides]),
        tuple(item.slide_id for item in slides),
        (*masked.failures, *failures, *without_tiles(masked, tiles, recipe.tiles), *lost, *inputs.failures),
    )


def _objects(items: list[Any]) -> npt.NDArray[np.object_]:
    """One axis, whatever the items are."""
    array = np.empty(len(items), dtype=object)
    for index, item in enumerate(items):  # bags of one shape would become axes
        array[index] = item
    return array
