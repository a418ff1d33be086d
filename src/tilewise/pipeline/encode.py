"""Tiles in, feature bags out, in the stain that the recipe asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from tilewise.audit.cohort import AuditedCohort
from tilewise.encoders import Encoder
from tilewise.execution import Failure
from tilewise.features import run as feature_stage
from tilewise.features.bag import FeatureBag
from tilewise.folds import Folds
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

Bags = dict[str, FeatureBag]


@dataclass(frozen=True)
class Looks:
    """A cohort's feature bags, once for each target that its slides are brought to.

    Attributes:
        bags: one look for all models, or one for each; all are of the same slides.
        targets: of the looks; none where stains are left as they are.
        record: what became of the stains; None where they are left as they are.
        failures: slides that could not be read.
    """

    bags: tuple[Bags, ...]
    targets: tuple[StainProfile, ...] = ()
    record: StainRecord | None = None
    failures: tuple[Failure, ...] = ()

    def of(self, number: int) -> Bags:
        """The look of one fold, or of one member of a classifier."""
        return self.bags[number if len(self.bags) > 1 else 0]

    def scored(self) -> Looks:
        """The same looks without tiles that only training may see."""
        bags = tuple({name: bag.scored() for name, bag in look.items()} for look in self.bags)
        return replace(self, bags=bags)


@dataclass(frozen=True)
class Looker:
    """Everything that looking at tiles needs, whatever the target.

    Attributes:
        cohort: whose slides these are.
        tiles: of these slides.
        encoder: what tiles are put through.
        recipe: how stains are normalised, tiles are read and features are kept.
        profiles: the slides' own stains; none where they are not asked for.
    """

    cohort: AuditedCohort
    tiles: TileSet
    encoder: Encoder
    recipe: Recipe
    profiles: Mapping[str, StainProfile] = field(default_factory=dict)

    def with_profiles(self, *, workers: int | None) -> tuple[Looker, tuple[Failure, ...]]:
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

    def look(self, targets: Sequence[StainProfile], *, without: AbstractSet[str] = frozenset()) -> Looks:
        """Encode all tiles once for each target, or as they are where there is none."""
        table = self.tiles.table
        tiles = replace(self.tiles, table=table[~table["slide"].isin(without)]) if without else self.tiles
        looks: list[Bags] = []
        failures: dict[str, Failure] = {}
        for target in targets or (None,):
            bags, failed = feature_stage.run(
                self.cohort, tiles, self.encoder, self.recipe.features, self.recipe.tiles, self._normalisers(target)
            )
            looks.append(bags)
            failures |= {failure.item: failure for failure in failed}
        looks = [{name: bag for name, bag in bags.items() if name not in failures} for bags in looks]
        return Looks(tuple(looks), tuple(targets), self._record(targets, looks[0]), tuple(failures.values()))

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

    def _record(self, targets: Sequence[StainProfile], bags: Bags) -> StainRecord | None:
        config = self.recipe.stain
        if config.method == "none":
            return None
        if config.per == "tile":
            left = {
                name: f"{bag.num_left} of {len(bag.features_ND)} tiles" for name, bag in bags.items() if bag.num_left
            }
        else:
            left = {name: reason for name in bags if (reason := trust(self.profiles[name], config))}
        return StainRecord(config.method, tuple(targets), len(bags), left)


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
