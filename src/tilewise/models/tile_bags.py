"""Tiles of several slides side by side, without padding, and sums over the tiles of each slide."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class TileBags:
    """The tiles of some slides.

    Attributes:
        features_ND: of all tiles.
        tile_slide_N: position of each tile's slide, int64, 0 .. num_slides - 1; in any order.
        num_slides: S.
        placements_NP: mask ratio and place of each tile, (N, 3); see `FeatureBag.placements_NP`.
    """

    features_ND: Tensor
    tile_slide_N: Tensor
    num_slides: int
    placements_NP: Tensor | None = None

    def softmax(self, scores_N: Tensor) -> Tensor:
        """Softmax over the tiles of each slide, (N,); those of a slide sum to 1, whatever the size of the scores."""
        # The highest score is only taken out for safety: no gradient goes through it.
        highest_S = torch.full((self.num_slides,), -math.inf, dtype=scores_N.dtype)
        highest_S = highest_S.scatter_reduce(0, self.tile_slide_N, scores_N.detach(), "amax")
        powers_N = (scores_N - highest_S.index_select(0, self.tile_slide_N)).exp()
        sums_S = powers_N.new_zeros(self.num_slides).index_add(0, self.tile_slide_N, powers_N)
        return powers_N / sums_S.index_select(0, self.tile_slide_N)

    def weighted_sum(self, weights_N: Tensor, vectors_NV: Tensor) -> Tensor:
        """Sum of weight times vector over the tiles of each slide, (S, V); zeros for a slide without tiles."""
        order_N, starts_S, _ = self._by_slide()
        # Five times as fast as `index_add` of the weighted vectors, which are never made.
        return functional.embedding_bag(
            order_N, vectors_NV, starts_S, mode="sum", per_sample_weights=weights_N.index_select(0, order_N)
        )

    def ranks(self, scores_N: Tensor, *, descending: bool = False) -> Tensor:
        """Place of each tile among those of its slide by score, int64 (N,), from 0; of equal ones in their order."""
        order_N = scores_N.argsort(descending=descending, stable=True)
        order_N = order_N[self.tile_slide_N[order_N].argsort(stable=True)]
        _, starts_S, _ = self._by_slide()
        return torch.empty_like(order_N).scatter_(
            0, order_N, torch.arange(len(order_N)) - starts_S[self.tile_slide_N[order_N]]
        )

    def argmax(self, scores_N: Tensor) -> Tensor:
        """The tile of highest score of each slide, int64 (S,); every slide has at least one."""
        (first,) = (self.ranks(scores_N, descending=True) == 0).nonzero(as_tuple=True)
        return first[self.tile_slide_N[first].argsort()]

    def of_equal_length(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Slides of one number of tiles, int64 (B,), and these, (B, T); by number of tiles."""
        order_N, starts_S, num_tiles_S = self._by_slide()
        for num in sorted(set(num_tiles_S.tolist()) - {0}):
            (slides,) = (num_tiles_S == num).nonzero(as_tuple=True)
            yield slides, order_N[starts_S[slides][:, None] + torch.arange(num)]

    def _by_slide(self) -> tuple[Tensor, Tensor, Tensor]:
        """Tiles slide by slide, where each slide starts among them, and its number of tiles."""
        num_tiles_S = torch.bincount(self.tile_slide_N, minlength=self.num_slides)
        return self.tile_slide_N.argsort(stable=True), num_tiles_S.cumsum(0) - num_tiles_S, num_tiles_S
