"""Slides for a ladder with a rung that trains networks: as heads take them, and as networks do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewise.execution import Failure
from tilewise.explain.values import TileValues
from tilewise.inference.classifier import Member
from tilewise.inference.network import SlideProbabilities
from tilewise.models.networks import NetworkModel
from tilewise.pipeline.slide_inputs import Floats, SlideInputs
from tilewise.stain.profile import StainProfile

if TYPE_CHECKING:
    from tilewise.training.fold_request import FoldRequest


@dataclass(frozen=True)
class LadderInputs:
    """The same slides for heads and for networks; see `SlideInputs`.

    Attributes:
        features: for heads.
        tiles: for networks; decoded when the first of them asks.
    """

    features: SlideInputs[Any]
    tiles: SlideInputs[Any]

    @property
    def targets(self) -> tuple[StainProfile, ...]:
        """See `SlideInputs`."""
        return self.features.targets

    @property
    def failures(self) -> tuple[Failure, ...]:
        """See `SlideInputs`."""
        return self.features.failures

    def __iter__(self) -> Iterator[str]:
        return iter(self.features)

    def of(self, *numbers: int) -> LadderInputs:
        """See `SlideInputs`."""
        return LadderInputs(self.features.of(*numbers), self.tiles.of(*numbers))

    def train(self, request: FoldRequest, *, out: Path) -> Member:
        """See `SlideInputs`."""
        model: Member = (self.tiles if request.training.input == "tiles" else self.features).train(request, out=out)
        return model

    def predict(self, models: Sequence[Member], slide_ids: Sequence[str]) -> SlideProbabilities:
        """See `SlideInputs`."""
        networks, heads = _positions(models, networks=True), _positions(models, networks=False)
        if not networks:
            return self.features.predict(models, slide_ids)
        by_networks = self.tiles.of(*networks).predict([models[index] for index in networks], slide_ids)
        if not heads:
            return by_networks
        by_heads = self.features.of(*heads).predict([models[index] for index in heads], by_networks.slide_ids)
        joined_MSC = np.concatenate([by_networks.probabilities_MSC, by_heads.probabilities_MSC])
        order = np.argsort([*networks, *heads])
        return replace(by_heads, probabilities_MSC=joined_MSC[order], failures=by_networks.failures)

    def distances(self, models: Sequence[Member], slide_ids: Sequence[str]) -> Floats | None:
        """See `SlideInputs`; networks have none of their own, and get the mean of the heads'."""
        heads = _positions(models, networks=False)
        by_heads = self.features.of(*heads).distances([models[index] for index in heads], slide_ids) if heads else None
        if by_heads is None:
            return None
        distances_MS = np.tile(by_heads.mean(axis=0), (len(models), 1))
        distances_MS[heads] = by_heads
        return distances_MS

    def tile_values(
        self,
        models: Sequence[Member],
        weights: Sequence[float],
        *,
        class_indices: Mapping[str, int],
        prediction: SlideProbabilities,
        occluded_tiles: int = 0,
    ) -> Iterator[tuple[str, TileValues | Failure]]:
        """See `SlideInputs`; of models that are all heads, or all networks."""
        inputs = self.tiles if _positions(models, networks=True) else self.features
        return inputs.tile_values(
            models, weights, class_indices=class_indices, prediction=prediction, occluded_tiles=occluded_tiles
        )

    def num_unnormalised(self) -> dict[str, int]:
        """See `SlideInputs`."""
        return self.features.num_unnormalised()


def _positions(models: Sequence[Member], *, networks: bool) -> list[int]:
    return [index for index, model in enumerate(models) if isinstance(model, NetworkModel) == networks]
