"""What a classifier says of the tiles of one slide about one class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tilewise.execution import Failure
from tilewise.explain.occlusion import Occlusion, cover_parts, leave_tiles_out
from tilewise.extraction.bag import FeatureBag
from tilewise.inference.classifier import for_each
from tilewise.inference.network import InferenceOptions, tile_batch
from tilewise.inference.slide_tiles import SlideTiles, TileSource
from tilewise.inference.tilestore import TileStore
from tilewise.models import FoldModel
from tilewise.models.networks import NetworkModel
from tilewise.tiles.fields import middle_of
from tilewise.tiles.window import Boxes

if TYPE_CHECKING:
    from tilewise.explain.grad_cam import GradCam

Values = npt.NDArray[np.float64]
_CHUNK = 256  # tiles that are copied into a batch at a time


@dataclass(frozen=True)
class TileValues:
    """What is known of each tile of a slide, about one class.

    Attributes:
        boxes: int64 (T, 4) as x, y, width, height in level-0 pixels, inside the slide.
        fields: int64 (T, 4), likewise: what was scaled to the tile, and may reach beyond the slide.
        probabilities_T: of the class, mean over the models by their weights.
        attention_T: how much the tile counts in the slide, likewise, summing to 1; None where tiles are not weighed.
        activations_THW: float32, Grad-CAM over the field, likewise; None of heads on features.
        occlusion: what the class loses without a tile, or without parts of some; None where that was not asked for, and
            of heads on slides with one tile.
    """

    boxes: Boxes
    fields: Boxes
    probabilities_T: Values
    attention_T: Values | None = None
    activations_THW: npt.NDArray[np.float32] | None = None
    occlusion: Occlusion | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def logits_THW(self) -> npt.NDArray[np.float32] | None:  # noqa: N802 - carries its axes
        """Activations in units that do not depend on their grid: what the class's logit gains if all places are so."""
        if self.activations_THW is None:
            return None
        _, height, width = self.activations_THW.shape
        return self.activations_THW * np.float32(height * width)

    def of_tiles(self) -> dict[str, Values]:
        """One number of each tile by name, float64 (T,).

        They are `probability`, and as far as there are any `attention`, `activation` (mean over the tile) and
        `left_out` (mean over its parts; nan where the tile was not occluded).
        """
        columns = {"probability": self.probabilities_T}
        if self.attention_T is not None:
            columns["attention"] = self.attention_T
        if self.activations_THW is not None:
            columns["activation"] = self.activations_THW.mean(axis=(1, 2), dtype=np.float64)
        if self.occlusion is not None:
            columns["left_out"] = np.full(len(self), np.nan)
            columns["left_out"][self.occlusion.tiles_K] = self.occlusion.falls_KHW.mean(axis=(1, 2), dtype=np.float64)
        return columns


def tile_probabilities(heads: Sequence[FoldModel], weights: Sequence[float], bags: Sequence[FeatureBag]) -> Values:
    """Probabilities of the tiles of one slide, mean over the heads by their weights: float64 (T, C).

    Arguments are those of `values_of_heads`.
    """
    probabilities_MTC = [
        head.predict_tiles(
            bag.features_ND, None, None if bag.context_E is None else bag.context_E[None], bag.placements_NP
        )
        for head, bag in zip(heads, bags, strict=True)
    ]
    return np.average(np.array(probabilities_MTC, np.float64), axis=0, weights=weights)


def values_of_heads(
    heads: Sequence[FoldModel],
    weights: Sequence[float],
    bags: Sequence[FeatureBag],
    class_index: int,
    *,
    occlude: bool = False,
) -> TileValues:
    """What heads on features say of the tiles of one slide.

    Args:
        heads: of one classifier.
        weights: of the heads, summing to 1.
        bags: of the slide, one for each head; tiles that only training may see are left out.
        class_index: of the class.
        occlude: also leave out tile by tile.
    """
    attention_T = None
    if all(head.head.attends for head in heads):
        same_T = np.zeros(len(bags[0].features_ND), dtype=np.int64)
        attention_MT = [
            head.attention_N(bag.features_ND, same_T, 1, class_index, bag.placements_NP)
            for head, bag in zip(heads, bags, strict=True)
        ]
        attention_T = np.average(attention_MT, axis=0, weights=weights)
    boxes = bags[0].boxes
    probabilities_T = tile_probabilities(heads, weights, bags)[:, class_index]
    occlusion = leave_tiles_out(heads, weights, bags, class_index) if occlude else None
    return TileValues(boxes, boxes, probabilities_T, attention_T, occlusion=occlusion)


def values_of_networks(
    models: Sequence[NetworkModel],
    weights: Sequence[float],
    stores: Sequence[TileStore],
    options: InferenceOptions,
    *,
    class_indices: Mapping[str, int],
    probabilities: Mapping[str, npt.NDArray[np.float32]],
    occluded_tiles: int = 0,
) -> Iterator[tuple[str, TileValues | Failure]]:
    """What networks say of the tiles of slides, or why a slide cannot be read.

    Args:
        models: of one classifier.
        weights: of the networks, summing to 1.
        stores: of the slides' tiles, one for all networks or one for each.
        options: threads and device.
        class_indices: slide -> the class.
        probabilities: slide -> float32 (M, T, C), of each network and tile.
        occluded_tiles: tiles of each slide, those of most activation, whose parts are covered one by one.

    Raises:
        UsageError: the library that draws activations is not installed.
    """
    from tilewise.explain.grad_cam import GradCam

    networks = [GradCam(one, num_threads=options.num_threads, device=options.device) for one in models]
    for loaded in zip(*(store.each(list(class_indices)) for store in stores), strict=True):
        name, index = loaded[0][0], class_indices[loaded[0][0]]
        tiles: list[SlideTiles] = []
        for _, tiles_or_failure in loaded:
            if isinstance(tiles_or_failure, Failure):
                yield name, tiles_or_failure
                break
            tiles.append(tiles_or_failure)
        else:
            own = for_each(tiles, networks)
            activations_THW = activations_of(networks, weights, own, index)
            chosen_K = np.argsort(-activations_THW.mean(axis=(1, 2)), kind="stable")[:occluded_tiles]
            probabilities_MT = probabilities[name][:, :, index].astype(np.float64)
            yield (
                name,
                TileValues(
                    *_visible(stores[0].source(name), models[0].network.crop_px),
                    np.average(probabilities_MT, axis=0, weights=weights),
                    activations_THW=activations_THW,
                    occlusion=cover_parts(models, weights, own, chosen_K, index, options) if occluded_tiles else None,
                ),
            )


def _visible(source: TileSource, crop_px: int | None) -> tuple[Boxes, Boxes]:
    """Boxes and fields of what networks see of a slide's tiles."""
    rows = source.rows[:: source.input_spec.num_fields]
    if crop_px is None:
        return rows.boxes, rows.fields
    return middle_of(rows.boxes, rows.fields, crop_px / source.tile_config.size_px)


def activations_of(
    networks: Sequence[GradCam], weights: Sequence[float], tiles: Sequence[SlideTiles], class_index: int
) -> npt.NDArray[np.float32]:
    """Grad-CAM of the tiles of one slide, float32 (T, h, w), mean over networks.

    They are added as they are: all are in units of the logit, so a network that is less moved counts for less.

    Args:
        networks: of one classifier.
        weights: of the networks, summing to 1.
        tiles: of the slide, one set for each network.
        class_index: of the class.
    """
    total_THW: npt.NDArray[np.float32] | float = 0.0
    for network, weight, own in zip(networks, weights, tiles, strict=True):
        tiles_T = np.arange(len(own))
        parts = [
            network.maps(tile_batch(own, tiles_T[start : start + _CHUNK]), class_index)
            for start in range(0, len(own), _CHUNK)
        ]
        total_THW = total_THW + np.float32(weight) * np.concatenate(parts)
    return np.asarray(total_THW, dtype=np.float32)
