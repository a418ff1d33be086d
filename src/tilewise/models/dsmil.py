"""DSMIL: the tile that scores highest for a class, and attention by likeness to it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from tilewise.models.bag_model import BagModel, Pooled
from tilewise.models.config import HeadConfig
from tilewise.models.heads import fresh_linear
from tilewise.models.tile_bags import TileBags


class Dsmil(BagModel):
    """Dual-stream multiple instance learning (Li, Li and Eliceiri, CVPR 2021).

    A linear classifier scores each tile, and the highest score of a class is the first stream's. The tile that has it
    is the critical one: in the second stream the tiles of a slide are weighed by the likeness of their queries to its
    query, softmax over tiles of q_i q_m / sqrt(Q), and all classes' weighted means are scored together. The logits are
    the mean of both streams, the paper's equation 1. Values are the features themselves, as in the authors' code.

    Args:
        num_features: D.
        num_classes: C.
        size: Q.
        generator: draws classifier and queries; only needed for training.
    """

    def __init__(
        self, num_features: int, num_classes: int, size: int, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(num_features)
        # Not from zero, or the first tile of every slide would be the critical one.
        self.tile_classifier = fresh_linear(num_features, num_classes, bound, generator)
        self.query = fresh_linear(num_features, size, bound, generator)
        self.head = DualHead(num_features, num_classes, generator)

    def pool(self, bags: TileBags, labels_S: Tensor | None = None) -> Pooled:  # noqa: ARG002 - no loss of tiles
        """See `BagModel`."""
        scores_NC, queries_NQ = self.tile_classifier(bags.features_ND), self.query(bags.features_ND)
        weights, vectors, highest = [], [], []
        for scores_N in scores_NC.unbind(dim=1):
            critical_S = bags.argmax(scores_N)
            likeness_N = (queries_NQ * queries_NQ[critical_S][bags.tile_slide_N]).sum(dim=1)
            weights_N = bags.softmax(likeness_N / math.sqrt(queries_NQ.shape[1]))
            vectors.append(bags.weighted_sum(weights_N, bags.features_ND))
            weights.append(weights_N)
            highest.append(scores_N[critical_S])
        return Pooled(torch.cat([*vectors, torch.stack(highest, dim=1)], dim=1), torch.stack(weights, dim=1))


class DualHead(nn.Module):
    """The mean of both streams' logits; of the second the vectors are given, then of the first the logits."""

    def __init__(self, num_features: int, num_classes: int, generator: torch.Generator | None) -> None:
        super().__init__()
        self.bag = fresh_linear(num_classes * num_features, num_classes, 0.0, generator)

    def forward(self, vectors_SV: Tensor) -> Tensor:
        """Logits, (S, C)."""
        length = self.bag.in_features
        logits_SC: Tensor = 0.5 * (self.bag(vectors_SV[:, :length]) + vectors_SV[:, length:])
        return logits_SC


def build_dsmil(
    config: HeadConfig, *, num_features: int, num_classes: int, generator: torch.Generator | None = None
) -> Dsmil:
    """DSMIL with fresh weights; arguments as `build_head`."""
    return Dsmil(num_features, num_classes, config.attention_size, generator)
