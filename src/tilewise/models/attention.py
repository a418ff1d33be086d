"""Attention: the tiles of a slide are weighed, and the head sees their weighted mean."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from tilewise.models.config import HeadConfig
from tilewise.models.heads import build_head, fresh_linear
from tilewise.models.tile_bags import TileBags


class GatedAttention(nn.Module):
    """A score of each tile, w tanh(V x + v) sigmoid(U x + u).

    Ilse, Tomczak and Welling, Attention-based deep multiple instance learning, ICML 2018. w starts at zero, so that
    training starts from the plain mean; it has no bias, which would change no weight.

    Args:
        num_features: D.
        size: rows of V and of U.
        generator: draws V and U, uniform within 1 / sqrt(D); only needed for training.
    """

    def __init__(self, num_features: int, size: int, generator: torch.Generator | None = None) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(num_features)
        self.value = fresh_linear(num_features, size, bound, generator)
        self.gate = fresh_linear(num_features, size, bound, generator)
        self.score = fresh_linear(size, 1, 0.0, generator, bias=False)

    def forward(self, features_ND: Tensor) -> Tensor:
        """Scores of tiles, (N,), before the softmax."""
        hidden_NH = self.value(features_ND).tanh() * self.gate(features_ND).sigmoid()
        scores_N1: Tensor = self.score(hidden_NH)
        return scores_N1.squeeze(1)


class PooledHead(nn.Module):
    """A head on the mean of each slide's tiles, weighed by attention."""

    def __init__(self, attention: GatedAttention, head: nn.Sequential) -> None:
        super().__init__()
        self.attention = attention
        self.head = head

    def weights(self, bags: TileBags) -> Tensor:
        """How much each tile counts in its slide, (N,); the tiles of a slide sum to 1."""
        return bags.softmax(self.attention(bags.features_ND))

    def pool(self, bags: TileBags) -> Tensor:
        """The weighted mean of each slide's tiles, (S, D); nothing but zeros for a slide without tiles."""
        return bags.weighted_sum(self.weights(bags), bags.features_ND)

    def forward(self, bags: TileBags) -> Tensor:
        """Logits of slides, (S, C)."""
        logits_SC: Tensor = self.head(self.pool(bags))
        return logits_SC


def build_pooled_head(
    config: HeadConfig, *, num_features: int, num_classes: int, generator: torch.Generator | None = None
) -> PooledHead:
    """A head behind gated attention, with fresh weights; arguments as `build_head`."""
    attention = GatedAttention(num_features, config.attention_size, generator)
    head = build_head(config, num_features=num_features, num_classes=num_classes, generator=generator)
    return PooledHead(attention, head)
