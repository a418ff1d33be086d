"""What a classifier says of the tiles of one slide about one class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tilewise.explain.activation import ClassActivation
from tilewise.features.bag import FeatureBag
from tilewise.inference.network import tile_batch
from tilewise.inference.slide_tiles import SlideTiles
from tilewise.models import FoldModel
from tilewise.tiles.window import Boxes

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
    """

    boxes: Boxes
    fields: Boxes
    probabilities_T: Values
    attention_T: Values | None = None
    activations_THW: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.boxes)


def values_of_heads(
    heads: Sequence[FoldModel], weights: Sequence[float], bags: Sequence[FeatureBag], class_index: int
) -> TileValues:
    """What heads on features say of the tiles of one slide.

    Args:
        heads: of one classifier.
        weights: of the heads, summing to 1.
        bags: of the slide, as each head is shown it; tiles that only training may see are left out.
        class_index: of the class.
    """
    own = [bag.scored() for bag in bags]
    features = [bag.features_ND for bag in own]
    probabilities_MT = [head.predict_tiles(one)[:, class_index] for head, one in zip(heads, features, strict=True)]
    attention_T = None
    if all(head.head.pools for head in heads):
        same_T = np.zeros(len(features[0]), dtype=np.int64)
        attention_MT = [head.attention_N(one, same_T, 1) for head, one in zip(heads, features, strict=True)]
        attention_T = np.average(attention_MT, axis=0, weights=weights)
    boxes = own[0].boxes
    probabilities_T = np.average(np.array(probabilities_MT, np.float64), axis=0, weights=weights)
    return TileValues(boxes, boxes, probabilities_T, attention_T)


def activations_of(
    networks: Sequence[ClassActivation], weights: Sequence[float], tiles: Sequence[SlideTiles], class_index: int
) -> npt.NDArray[np.float32]:
    """Grad-CAM of the tiles of one slide, float32 (T, h, w), mean over networks.

    They are added as they are: all are in units of the logit, so a network that is less moved counts for less.

    Args:
        networks: of one classifier.
        weights: of the networks, summing to 1.
        tiles: of the slide, as each network is shown them; those that only training may see are left out.
        class_index: of the class.
    """
    total_THW: npt.NDArray[np.float32] | float = 0.0
    for network, weight, own in zip(networks, weights, tiles, strict=True):
        scored = np.flatnonzero(~own.training_only_T)
        parts = [
            network.maps(tile_batch(own, scored[start : start + _CHUNK]), class_index)
            for start in range(0, len(scored), _CHUNK)
        ]
        total_THW = total_THW + np.float32(weight) * np.concatenate(parts)
    return np.asarray(total_THW, dtype=np.float32)
