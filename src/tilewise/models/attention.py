"""Attention: the tiles of a slide are weighed, and the head sees their weighted mean."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from tilewise.models.bag_model import BagModel, Pooled
from tilewise.models.config import HeadConfig
from tilewise.models.heads import build_head, fresh_linear
from tilewise.models.tile_bags import TileBags

_PLACEMENT = 3  # mask ratio, x, y
_PLACE_BOUND = 1.0 / math.sqrt(_PLACEMENT)


class Attention(nn.Module):
    """Scores of each tile, w tanh(V x + v) sigmoid(U x + u), or without the gate w tanh(V x + v).

    Ilse, Tomczak and Welling, Attention-based deep multiple instance learning, ICML 2018. By default w starts at zero,
    so that training starts from the plain mean; it has no bias, which would change no weight.

    Args:
        num_features: D.
        size: rows of V and of U.
        generator: draws V and U, uniform within 1 / sqrt(D); only needed for training.
        gated: whether there is a gate.
        num_scores: B, rows of w.
        bound: that w starts within.
        placement: whether a tile's mask ratio and place, p, are also gone by: V x + P p + v, U x + Q p + u.
    """

    def __init__(
        self,
        num_features: int,
        size: int,
        generator: torch.Generator | None = None,
        *,
        gated: bool = True,
        num_scores: int = 1,
        bound: float = 0.0,
        placement: bool = False,
    ) -> None:
        super().__init__()
        uniform = 1.0 / math.sqrt(num_features)
        self.value = fresh_linear(num_features, size, uniform, generator)
        self.gate = fresh_linear(num_features, size, uniform, generator) if gated else None
        self.place_value = fresh_linear(_PLACEMENT, size, _PLACE_BOUND, generator, bias=False) if placement else None
        self.place_gate = (
            fresh_linear(_PLACEMENT, size, _PLACE_BOUND, generator, bias=False) if placement and gated else None
        )
        self.score = fresh_linear(size, num_scores, bound, generator, bias=False)

    def forward(self, features_ND: Tensor, placements_NP: Tensor | None = None) -> Tensor:
        """Scores of tiles, (N, B), before the softmax.

        Raises:
            ValueError: placements are needed, and there are none.
        """
        if self.place_value is not None and placements_NP is None:
            raise ValueError("the model goes by mask ratio and place of tiles (head.attention_placement); give both")
        hidden_NH = _sum(self.value(features_ND), self.place_value, placements_NP).tanh()
        if self.gate is not None:
            hidden_NH = hidden_NH * _sum(self.gate(features_ND), self.place_gate, placements_NP).sigmoid()
        scores_NB: Tensor = self.score(hidden_NH)
        return scores_NB


def _sum(hidden_NH: Tensor, layer: nn.Linear | None, placements_NP: Tensor | None) -> Tensor:
    return hidden_NH if layer is None else hidden_NH + layer(placements_NP)


class PooledHead(BagModel):
    """A head on the mean of each slide's tiles, weighed by attention."""

    def __init__(self, attention: Attention, head: nn.Sequential) -> None:
        super().__init__()
        self.attention = attention
        self.head = head

    def pool(self, bags: TileBags, labels_S: Tensor | None = None) -> Pooled:  # noqa: ARG002 - no loss of tiles
        """See `BagModel`; the vectors are weighted means of features, (S, D)."""
        weights_N = bags.softmax(self.attention(bags.features_ND, bags.placements_NP).squeeze(1))
        return Pooled(bags.weighted_sum(weights_N, bags.features_ND), weights_N[:, None])


def build_pooled_head(
    config: HeadConfig, *, num_features: int, num_classes: int, generator: torch.Generator | None = None
) -> PooledHead:
    """A head behind gated or additive attention, with fresh weights; arguments as `build_head`."""
    gated = config.aggregator == "attention"
    attention = Attention(
        num_features, config.attention_size, generator, gated=gated, placement=config.attention_placement
    )
    head = build_head(config, num_features=num_features, num_classes=num_classes, generator=generator)
    return PooledHead(attention, head)
