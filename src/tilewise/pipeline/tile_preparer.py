"""Tiles in, slides as models take them out, in the stain that the recipe asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewise.auditing.cohort import AuditedCohort
from tilewise.encoders import Encoder
from tilewise.execution import Failure
from tilewise.extraction.bag import FeatureBag
from tilewise.extraction.context import mask_shapes, with_context
from tilewise.extraction.extract_features import extract_features
from tilewise.folds import Folds
from tilewise.inference.slide_tiles import InputSpec
from tilewise.inference.tilestore import TileStore
from tilewise.pipeline.ladder_inputs import LadderInputs
from tilewise.pipeline.slide_inputs import FeatureInputs, SlideInputs, TileInputs
from tilewise.recipe import Recipe
from tilewise.stain.config import StainConfig
from tilewise.stain.fit_profiles import StainRequest, fit_profiles
from tilewise.stain.normalise import AnyNormaliser, Normaliser, TileNormaliser
from tilewise.stain.profile import StainProfile
from tilewise.stain.record import StainRecord
from tilewise.stain.target import choose_target
from tilewise.stain.trust import untrusted_reason
from tilewise.tiles.outside import outside_config, outside_tiles
from tilewise.tiles.tileset import TileSet


@dataclass(frozen=True)
class TilePreparer:
    """What encodes or decodes the tiles of slides, for any stain target.

    Attributes:
        cohort: whose slides these are.
        tiles: of these slides.
        encoder: what tiles are put through once; None where a network takes the tiles themselves.
        recipe: how stains are normalised, tiles are read and features are kept.
        profiles: the slides' own stains; none where they are not asked for.
        outside: tiles of the tissue outside the masks; None where they are not asked for.
        shapes: slide -> shape of its mask; none where they are not asked for.
    """

    cohort: AuditedCohort
    tiles: TileSet
    encoder: Encoder | None
    recipe: Recipe
    profiles: Mapping[str, StainProfile] = field(default_factory=dict)
    outside: TileSet | None = None
    shapes: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)

    def with_context(self, *, out: Path | None = None, workers: int | None) -> tuple[TilePreparer, tuple[Failure, ...]]:
        """Cut and measure what stands beside the tiles, if the recipe asks for it; also what could not be read.

        Args:
            out: where the table of tiles outside the masks is kept; None keeps it nowhere.
            workers: processes; None takes every processor.
        """
        config, preparer = self.recipe.features, self
        failures: tuple[Failure, ...] = ()
        if config.context != "none":
            outside, failures = outside_tiles(self.cohort, self.recipe.tiles, out=out, workers=workers)
            preparer = replace(preparer, outside=outside)
        if config.context_shape:
            shapes, more = mask_shapes(self.cohort, workers=workers)
            preparer, failures = replace(preparer, shapes=shapes), (*failures, *more)
        return preparer, failures

    def with_profiles(self, *, workers: int | None) -> tuple[TilePreparer, tuple[Failure, ...]]:
        """Fit every slide that has tiles, if the recipe needs it; also the slides that could not be read."""
        config, counts = self.recipe.stain, self.tiles.counts()
        if config.method == "none" or (config.per == "tile" and config.target != "median"):
            return self, ()
        requests = {
            item.slide_id: StainRequest(item.slide.path, item.size.area, item.content, config.method)
            for item in self.cohort.slides
            if counts.get(item.slide_id)
        }
        profiles, failures = fit_profiles(requests, workers=workers)
        return replace(self, profiles=profiles), failures

    def prepare(
        self, targets: Sequence[StainProfile], *, without: AbstractSet[str] = frozenset(), hold: bool = True
    ) -> SlideInputs[Any]:
        """Encode or decode all tiles once for each target, or as they are where there is none.

        What cannot be read for one target takes no part in any.

        Args:
            targets: that stains are brought to.
            without: slides that are left aside.
            hold: decode tiles for networks now, and hold them; otherwise slide by slide when they are predicted.
        """
        if self.encoder is None:
            return self._tile_inputs(tuple(targets), without, hold)
        features = self._feature_inputs(self.encoder, tuple(targets), without)
        for rung in self.recipe.rungs().values():
            if rung.training.input == "tiles":
                unread = without | {failure.item for failure in features.failures}
                tiles = replace(self, recipe=rung, encoder=None).prepare(targets, without=unread, hold=False)
                return LadderInputs(features, tiles)
        return features

    def record(self, inputs: SlideInputs[Any], num_unnormalised: Mapping[str, int]) -> StainRecord | None:
        """What became of the stains; None where they are left as they are.

        Args:
            inputs: the slides.
            num_unnormalised: slide -> tiles that keep their own colours, where each is normalised by itself.
        """
        config = self.recipe.stain
        if config.method == "none":
            return None
        names = tuple(inputs)
        if config.per == "tile":
            counts = self.tiles.counts()
            left = {name: f"{num} of {counts[name]} tiles" for name, num in num_unnormalised.items() if num}
        else:
            left = {name: reason for name in names if (reason := untrusted_reason(self.profiles[name], config))}
        return StainRecord(config.method, inputs.targets, len(names), left)

    def _feature_inputs(
        self, encoder: Encoder, targets: tuple[StainProfile, ...], without: AbstractSet[str]
    ) -> FeatureInputs:
        table = self.tiles.table
        tiles = replace(self.tiles, table=table[~table["slide"].isin(without)]) if without else self.tiles
        all_bags: list[dict[str, FeatureBag]] = []
        failures: dict[str, Failure] = {}
        for target in targets or (None,):
            bags, failed = extract_features(
                self.cohort, tiles, encoder, self.recipe.features, self.recipe.tiles, self._normalisers(target)
            )
            failures |= {failure.item: failure for failure in failed}
            all_bags.append(self._with_context(bags, target, failures))
        readable = tuple({name: bag for name, bag in bags.items() if name not in failures} for bags in all_bags)
        return FeatureInputs(readable, targets, tuple(failures.values()))

    def _with_context(
        self, bags: dict[str, FeatureBag], target: StainProfile | None, failures: dict[str, Failure]
    ) -> dict[str, FeatureBag]:
        """The bags with what stands beside their tiles; slides whose tissue outside cannot be read go to `failures`."""
        recipe = self.recipe
        beside: dict[str, FeatureBag] = {}
        if not recipe.features.has_context:
            return bags
        if self.outside is not None:
            assert self.encoder is not None
            table = self.outside.table
            outside = replace(self.outside, table=table[table["slide"].isin(bags)])
            beside, failed = extract_features(
                self.cohort,
                outside,
                self.encoder,
                recipe.features,
                outside_config(recipe.tiles),
                self._normalisers(target),
            )
            failures |= {failure.item: failure for failure in failed}
        return with_context(bags, beside, self.shapes, recipe.features)

    def _tile_inputs(self, targets: tuple[StainProfile, ...], without: AbstractSet[str], hold: bool) -> TileInputs:
        recipe = self.recipe
        input_spec = InputSpec.by(recipe.network, recipe.encoder, recipe.tiles)
        if hold and recipe.synthesis.method != "none":
            input_spec = replace(input_spec, masks=True)  # tiles are composed by them, whatever the network takes
        stores: list[TileStore] = []
        failures: dict[str, Failure] = {}
        for target in targets or (None,):
            store = TileStore.of(
                self.cohort,
                self.tiles,
                recipe.tiles,
                input_spec,
                stains=self._normalisers(target),
                cache_megabytes=recipe.training.engine.tile_megabytes,
            )
            failed = store.fill([name for name in store.slide_ids if name not in without]) if hold else ()
            stores.append(store)
            failures |= {failure.item: failure for failure in failed}
        return TileInputs(
            tuple(stores), recipe, targets, tuple(failures.values()), frozenset(without | failures.keys())
        )

    def _normalisers(self, target: StainProfile | None) -> dict[str, AnyNormaliser]:
        config = self.recipe.stain
        if target is None or config.method == "none":
            return {}
        if config.per == "tile":
            names = (item.slide_id for item in self.cohort.slides)
            return {name: TileNormaliser(target, config.method, config=config) for name in names}
        return {
            name: Normaliser(profile, target, config.method, config=config) for name, profile in self.profiles.items()
        }


def fold_targets(config: StainConfig, profiles: Mapping[str, StainProfile], folds: Folds) -> tuple[StainProfile, ...]:
    """What stains are brought to: nothing, one target that no slide has a part in, or one of each fold's train part.

    Raises:
        UsageError: the target is no file, or cannot be trusted.
    """
    if config.method == "none":
        return ()
    if config.target != "median":
        return (choose_target(config),)
    return tuple(choose_target(config, [profiles[name] for name in fold.train]) for fold in folds.folds)
