"""Stages of runs whose features another program made: nothing is audited, cut or encoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from tilewise.auditing.cohort import AuditedCohort
from tilewise.auditing.config import AuditConfig
from tilewise.execution import Failure
from tilewise.extraction.bag import FeatureBag
from tilewise.pipeline.feature_places import FeaturePlaces
from tilewise.pipeline.imported_features import ImportedFeatures
from tilewise.pipeline.shared_stages import SharedStages
from tilewise.pipeline.slide_inputs import FeatureInputs
from tilewise.pipeline.tile_preparer import TilePreparer
from tilewise.recipe import Recipe
from tilewise.stain.profile import StainProfile
from tilewise.tiles.config import TileConfig
from tilewise.tiles.tileset import TileSet


@dataclass
class FeatureStages(SharedStages):
    """Stages of runs that start from features.

    Attributes:
        features: of the cohort.
    """

    has_pixels: ClassVar[bool] = False
    features: ImportedFeatures | None = None

    def encoder(self, recipe: Recipe) -> tuple[None, dict[str, Any]]:  # noqa: ARG002 - nothing is encoded
        """No encoder, and who made the features."""
        return None, self._features.signature

    def encoder_name(self, recipe: Recipe) -> str:  # noqa: ARG002 - the features' own
        """Of the features."""
        return self._features.encoder_name

    def audit(self, config: AuditConfig) -> AuditedCohort:  # noqa: ARG002 - no pixel is there to be audited
        """See `ImportedFeatures.audited`."""
        return self._features.audited()

    def tiles(
        self,
        masked: AuditedCohort,
        config: TileConfig,  # noqa: ARG002 - tiles were cut elsewhere
        *,
        out: Path | None,
    ) -> tuple[TileSet, tuple[Failure, ...]]:
        """See `ImportedFeatures.tiles`."""
        tiles = self._features.tiles()
        if out is not None:
            tiles.write(out, inputs=masked.digest)
        return tiles, ()

    def preparer(self, masked: AuditedCohort, tiles: TileSet, recipe: Recipe) -> TilePreparer:
        """Bags as they were read.

        Raises:
            UsageError: the recipe, one trial of a search say, trains networks on pixels.
        """
        self._features.recipe(recipe)
        return ImportedPreparer(masked, tiles, None, recipe, bags=self._features.bags)

    @property
    def places(self) -> FeaturePlaces | None:
        """See `ImportedFeatures`."""
        return self._features.places

    @property
    def _features(self) -> ImportedFeatures:
        assert self.features is not None
        return self.features


@dataclass(frozen=True)
class ImportedPreparer(TilePreparer):
    """Hands out bags that were read.

    Attributes:
        bags: slide -> its vectors.
    """

    bags: Mapping[str, FeatureBag] = field(default_factory=dict)

    def prepare(
        self,
        targets: Sequence[StainProfile],  # noqa: ARG002 - stains are where pixels are
        *,
        without: AbstractSet[str] = frozenset(),
        hold: bool = True,  # noqa: ARG002
    ) -> FeatureInputs:
        """The bags of slides that have a vector."""
        bags = {name: bag for name, bag in self.bags.items() if len(bag.boxes) and name not in without}
        return FeatureInputs((bags,))
