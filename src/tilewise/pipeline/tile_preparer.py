"""Tiles in, slides as models are shown them out, in the stain that the recipe asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from tilewise.auditing.cohort import AuditedCohort
from tilewise.encoders import Encoder
from tilewise.execution import Failure
from tilewise.features import run as feature_stage
from tilewise.folds import Folds
from tilewise.inference.classifier import SlideClassifier
from tilewise.inference.network import SlideProbabilities
from tilewise.inference.slide_tiles import InputSpec
from tilewise.inference.tilestore import TileStore
from tilewise.pipeline.slide_inputs import FeatureInputs, SlideInputs, TileInputs, fill
from tilewise.recipe import Recipe
from tilewise.stain import run as stain_stage
from tilewise.stain.config import StainConfig
from tilewise.stain.judgement import trust
from tilewise.stain.normalise import AnyNormaliser, Normaliser, TileNormaliser
from tilewise.stain.profile import StainProfile
from tilewise.stain.record import StainRecord
from tilewise.stain.run import StainRequest
from tilewise.stain.target import choose_target
from tilewise.tiles.tileset import TileSet


@dataclass(frozen=True)
class CohortInputs:
    """A cohort's slides, once for each target that their stains are brought to.

    Attributes:
        slide_inputs: one look for all models, or one for each; all are of the same slides.
        targets: of the looks; none where stains are left as they are.
        failures: slides that could not be read.
    """

    slide_inputs: tuple[SlideInputs, ...]
    targets: tuple[StainProfile, ...] = ()
    failures: tuple[Failure, ...] = ()

    def of(self, number: int) -> SlideInputs:
        """The look of one fold, or of one member of a classifier."""
        return self.slide_inputs[number if len(self.slide_inputs) > 1 else 0]

    def only(self, numbers: Sequence[int]) -> CohortInputs:
        """The looks of some of the models, in this order."""
        if len(self.slide_inputs) == 1:
            return self
        return replace(
            self,
            slide_inputs=tuple(self.slide_inputs[number] for number in numbers),
            targets=tuple(self.targets[number] for number in numbers),
        )

    def predict(
        self, classifier: SlideClassifier, slide_ids: Sequence[str]
    ) -> tuple[SlideProbabilities, npt.NDArray[np.float64]]:
        """What a classifier says of slides: each member's probabilities, and all of them weighed, float64 (S, C)."""
        if len(self.slide_inputs) == 1:
            prediction = self.slide_inputs[0].predict(classifier.members, slide_ids)
        else:
            parts = [
                slide_inputs.predict((one,), slide_ids)
                for slide_inputs, one in zip(self.slide_inputs, classifier.members, strict=True)
            ]
            tiles = {name: np.concatenate([part.tiles[name] for part in parts]) for name in parts[0].tiles}
            probabilities_MSC = np.concatenate([part.probabilities_MSC for part in parts])
            prediction = replace(parts[0], probabilities_MSC=probabilities_MSC, tiles=tiles)
        return prediction, classifier.weigh(prediction.probabilities_MSC)


@dataclass(frozen=True)
class TilePreparer:
    """Everything that looking at tiles needs, whatever the target.

    Attributes:
        cohort: whose slides these are.
        tiles: of these slides.
        encoder: what tiles are put through once; None where a network takes the tiles themselves.
        recipe: how stains are normalised, tiles are read and features are kept.
        profiles: the slides' own stains; none where they are not asked for.
    """

    cohort: AuditedCohort
    tiles: TileSet
    encoder: Encoder | None
    recipe: Recipe
    profiles: Mapping[str, StainProfile] = field(default_factory=dict)

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
        profiles, failures = stain_stage.run(requests, workers=workers)
        return replace(self, profiles=profiles), failures

    def prepare(
        self, targets: Sequence[StainProfile], *, without: AbstractSet[str] = frozenset(), hold: bool = True
    ) -> CohortInputs:
        """Look at all tiles once for each target, or as they are where there is none.

        Args:
            targets: that stains are brought to.
            without: slides that are left aside.
            hold: decode tiles for networks now, and hold them; otherwise slide by slide when they are predicted.
        """
        inputs: list[SlideInputs] = []
        failures: dict[str, Failure] = {}
        for target in targets or (None,):
            if self.encoder is None:
                slide_inputs, failed = self._as_pixels(target, without, hold)
            else:
                slide_inputs, failed = self._as_features(self.encoder, target, without)
            inputs.append(slide_inputs)
            failures |= {failure.item: failure for failure in failed}
        # What could not be read for one target takes no part in any.
        return CohortInputs(
            tuple(slide_inputs.but(failures) for slide_inputs in inputs), tuple(targets), tuple(failures.values())
        )

    def record(self, inputs: CohortInputs) -> StainRecord | None:
        """What became of the stains; None where they are left as they are."""
        config, slide_inputs = self.recipe.stain, inputs.slide_inputs[0]
        if config.method == "none":
            return None
        names = tuple(slide_inputs)
        if config.per == "tile":
            counts = self.tiles.counts()
            left = {
                name: f"{num} of {counts[name]} tiles" for name, num in slide_inputs.num_unnormalised().items() if num
            }
        else:
            left = {name: reason for name in names if (reason := trust(self.profiles[name], config))}
        return StainRecord(config.method, inputs.targets, len(names), left)

    def _as_features(
        self, encoder: Encoder, target: StainProfile | None, without: AbstractSet[str]
    ) -> tuple[SlideInputs, tuple[Failure, ...]]:
        table = self.tiles.table
        tiles = replace(self.tiles, table=table[~table["slide"].isin(without)]) if without else self.tiles
        bags, failures = feature_stage.run(
            self.cohort, tiles, encoder, self.recipe.features, self.recipe.tiles, self._normalisers(target)
        )
        return FeatureInputs(bags), failures

    def _as_pixels(
        self, target: StainProfile | None, without: AbstractSet[str], hold: bool
    ) -> tuple[SlideInputs, tuple[Failure, ...]]:
        recipe = self.recipe
        input_spec = InputSpec.by(recipe.network, recipe.encoder, recipe.tiles)
        if hold and recipe.synthesis.method != "none":
            input_spec = replace(input_spec, masks=True)  # tiles are composed by them, whatever the network takes
        store = TileStore.of(
            self.cohort,
            self.tiles,
            recipe.tiles,
            input_spec,
            stains=self._normalisers(target),
            cache_megabytes=recipe.training.engine.cache_megabytes,
        )
        slide_inputs = TileInputs(store, recipe, frozenset(without))
        return slide_inputs, fill(slide_inputs) if hold else ()

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
    """What slides are brought to: nothing, one target that no slide has a part in, or one of each fold's train part.

    Raises:
        UsageError: the target is no file, or is not to be believed.
    """
    if config.method == "none":
        return ()
    if config.target != "median":
        return (choose_target(config),)
    return tuple(choose_target(config, [profiles[name] for name in fold.train]) for fold in folds.folds)
