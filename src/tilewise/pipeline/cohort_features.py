"""Cohort and recipe in, the slides' feature vectors as arrays out: what a run would learn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewise.auditing.cohort import AuditedCohort, AuditedSlide
from tilewise.errors import UsageError
from tilewise.execution import Failure
from tilewise.extraction.bag import FeatureBag
from tilewise.interchange.slide_features import SlideFeatures
from tilewise.pipeline.masks import readable
from tilewise.pipeline.shared_stages import SharedStages
from tilewise.pipeline.slide_inputs import FeatureInputs
from tilewise.pipeline.tile_preparer import TilePreparer
from tilewise.recipe import Recipe, parse_recipe
from tilewise.run_folder import RunFolder
from tilewise.slides import SUFFIXES
from tilewise.stain.target import choose_target
from tilewise.store import Manifest
from tilewise.tiles.tile_cohort import without_tiles
from tilewise.tiles.tileset import TileSet
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


@dataclass(frozen=True)
class _EncodedCohort:
    cohort: AuditedCohort
    tiles: TileSet
    bags: Mapping[str, FeatureBag]
    failures: tuple[Failure, ...]

    @property
    def slides(self) -> list[AuditedSlide]:
        return [item for item in self.cohort.slides if item.slide_id in self.bags]


def cohort_features(recipe: Recipe, shared: SharedStages) -> CohortFeatures:
    """Audit, cut and encode slides as `train` does, through the same cache.

    Raises:
        UsageError: the recipe trains networks on pixels, its features follow from folds or are of whole slides, or the
            cohort cannot be used.
        NoTiles: not one slide yields a tile.
    """
    encoded = _encode(recipe, shared)
    return CohortFeatures(
        _objects([encoded.bags[item.slide_id].features_ND for item in encoded.slides]),
        _objects([item.slide.label for item in encoded.slides]),
        _objects([item.group for item in encoded.slides]),
        tuple(item.slide_id for item in encoded.slides),
        encoded.failures,
    )


def run_features(folder: RunFolder, shared: SharedStages) -> tuple[dict[str, SlideFeatures], tuple[Failure, ...]]:
    """The features that a finished run was trained on, from the cache or made again, for other programs.

    Args:
        folder: of the run.
        shared: the run's cohort, seed and decisions.

    Returns:
        Slide without its suffix -> vectors with coordinates, and the slides that have none.

    Raises:
        UsageError: as `cohort_features`; or the cohort has changed since.
    """
    identity = folder.require_finished()
    recipe = parse_recipe(identity["recipe"], f"the recipe of {folder.root}")
    encoded = _encode(recipe, shared)
    if Manifest.read(folder.root).inputs.get("cohort") != shared.audit(recipe.audit).digest:
        raise UsageError(f"{shared.cohort.root}: slides, masks or labels have changed since {folder.root} was trained")
    encoder, rows_of = shared.encoder(recipe)[0], encoded.tiles.rows()
    names = {item.slide_id: _without_suffix(item.slide_id) for item in encoded.slides}
    features = {}
    for item in encoded.slides:
        fields_N4, name = rows_of[item.slide_id].fields, names[item.slide_id]
        sides = np.unique(fields_N4[:, 2:])
        features[name if [*names.values()].count(name) == 1 else item.slide_id] = SlideFeatures(
            name,
            encoded.bags[item.slide_id].features_ND,
            fields_N4[:, :2],
            "tilewise",
            tile_size=float(sides[0]) if len(sides) == 1 else None,
            tile_px=recipe.tiles.size_px,
            mpp=item.mpp,
            size=(item.size.width, item.size.height),
            encoder="" if encoder is None else encoder.card.name,
        )
    return features, encoded.failures


def _without_suffix(name: str) -> str:
    path = PurePosixPath(name)
    return path.with_suffix("").as_posix() if path.suffix.lower() in SUFFIXES else name


def _encode(recipe: Recipe, shared: SharedStages) -> _EncodedCohort:
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
    failures = (*masked.failures, *failures, *without_tiles(masked, tiles, recipe.tiles), *lost, *inputs.failures)
    return _EncodedCohort(masked, tiles, inputs.bags[0], failures)


def _objects(items: list[Any]) -> npt.NDArray[np.object_]:
    """One axis, whatever the items are."""
    array = np.empty(len(items), dtype=object)
    for index, item in enumerate(items):  # bags of one shape would become axes
        array[index] = item
    return array
