"""Gated attention: the tiles of a slide are weighed, and the head sees their weighted mean."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from tilewise.models.config import HeadConfig
from tilewise.models.heads import build_head, fresh_linear


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

    def pool(self, features_ND: Tensor, tile_slide_N: Tensor, num_slides: int) -> Tensor:
        """The weighted mean of each slide's tiles, (S, D); nothing but zeros for a slide without tiles."""
        weights_N = softmax_within(self.attention(features_ND), tile_slide_N, num_slides)
        pooled_SD = features_ND.new_zeros(num_slides, features_ND.shape[1])
        return pooled_SD.index_add(0, tile_slide_N, weights_N[:, None] * features_ND)

    def forward(self, features_ND: Tensor, tile_slide_N: Tensor, num_slides: int) -> Tensor:
        """Logits of slides, (S, C)."""
        logits_SC: Tensor = self.head(self.pool(features_ND, tile_slide_N, num_slides))
        return logits_SC


def softmax_within(scores_N: Tensor, tile_slide_N: Tensor, num_slides: int) -> Tensor:
    """Softmax over the tiles of each slide, (N,); the weights of a slide sum to 1, whatever the size of the scores.

    Args:
        scores_N: of tiles.
        tile_slide_N: position of each tile's slide, int64, 0 .. num_slides - 1; in any order.
        num_slides: S.
    """
    # The highest score is only taken out for safety: no gradient goes through it.
    highest_S = torch.full((num_slides,), -math.inf, dtype=scores_N.dtype)
    highest_S = highest_S.scatter_reduce(0, tile_slide_N, scores_N.detach(), "amax")
    powers_N = (scores_N - highest_S[tile_slide_N]).exp()
    sums_S = powers_N.new_zeros(num_slides).index_add(0, tile_slide_N, powers_N)
    return powers_N / sums_S[tile_slide_N]


def build_pooled_head(
    config: HeadConfig, *, num_features: int, num_classes: int, generator: torch.Generator | None = None
) -> PooledHead:
    """A head behind gated attention, with fresh weights; arguments as `build_head`."""
    attention = GatedAttention(num_features, config.attention_size, generator)
    head = build_head(config, num_features=num_features, num_classes=num_classes, generator=generator)
    return PooledHead(attention, head)
