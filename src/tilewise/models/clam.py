"""CLAM: attention whose strongest and weakest tiles are told apart by a loss of their own."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from tilewise.models.attention import Attention
from tilewise.models.bag_model import BagModel, Pooled
from tilewise.models.config import HeadConfig
from tilewise.models.heads import build_head, fresh_linear
from tilewise.models.tile_bags import TileBags

_MARGIN = 1.0


class Clam(BagModel):
    """Clustering-constrained attention (Lu et al., Nature Biomedical Engineering 2021), single- or multi-branch.

    Tiles are embedded, max(0, E x + e), and gated attention pools the embeddings: one weight of a tile for all classes,
    or with as many branches as classes one for each, whose pooled embedding only its own class is scored by.

    The loss of tiles: in the branch of a slide's class the k tiles of most attention are told from the k of least by a
    classifier of that class; in the other classes' the k of most attention are told to be none. It is the smooth SVM
    loss with margin 1 and temperature 1, and a slide's is the mean over classes. A slide of fewer than k tiles takes
    all of them, as the authors' code does.

    Args:
        attention: of embeddings, with one score for each branch.
        embed: E and e.
        head: of a pooled embedding, or of one for each class side by side.
        num_classes: C.
        num_tiles: k.
        generator: draws the classifiers of tiles; only needed for training.
    """

    def __init__(
        self,
        attention: Attention,
        embed: nn.Linear,
        head: nn.Module,
        *,
        num_classes: int,
        num_tiles: int,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        size = embed.out_features
        self.embed = embed
        self.attention = attention
        self.head = head
        self.tile_classifiers = fresh_linear(size, 2 * num_classes, 1.0 / math.sqrt(size), generator)
        self._num_classes, self._num_tiles = num_classes, num_tiles

    def pool(self, bags: TileBags, labels_S: Tensor | None = None) -> Pooled:
        """See `BagModel`."""
        hidden_NE = self.embed(bags.features_ND).relu()
        scores_NB = self.attention(hidden_NE)
        weights_NB = torch.stack([bags.softmax(scores_N) for scores_N in scores_NB.unbind(dim=1)], dim=1)
        vectors_SV = torch.cat([bags.weighted_sum(one, hidden_NE) for one in weights_NB.unbind(dim=1)], dim=1)
        losses_S = None if labels_S is None else self._tile_losses(bags, hidden_NE, scores_NB, labels_S)
        return Pooled(vectors_SV, weights_NB, losses_S)

    def _tile_losses(self, bags: TileBags, hidden_NE: Tensor, scores_NB: Tensor, labels_S: Tensor) -> Tensor:
        losses_S = hidden_NE.new_zeros(bags.num_slides)
        branches = scores_NB.detach().unbind(dim=1)
        ranks = [(bags.ranks(scores_N, descending=True), bags.ranks(scores_N)) for scores_N in branches]
        for index in range(self._num_classes):
            from_top_N, from_bottom_N = ranks[index if len(ranks) > 1 else 0]
            is_own_N = (labels_S == index)[bags.tile_slide_N]
            top = (from_top_N < self._num_tiles).nonzero().squeeze(1)
            bottom = (is_own_N & (from_bottom_N < self._num_tiles)).nonzero().squeeze(1)
            tiles, targets = torch.cat([top, bottom]), torch.cat([is_own_N[top].long(), torch.zeros_like(bottom)])
            slides = bags.tile_slide_N[tiles]
            # No product with all classes' weights: only few tiles are asked.
            rows = slice(2 * index, 2 * index + 2)
            logits_T2 = functional.linear(
                hidden_NE[tiles], self.tile_classifiers.weight[rows], self.tile_classifiers.bias[rows]
            )
            wrong_T2 = 1.0 - functional.one_hot(targets, 2).to(logits_T2)
            losses_T = functional.cross_entropy(logits_T2 + _MARGIN * wrong_T2, targets, reduction="none")
            num_S = torch.bincount(slides, minlength=bags.num_slides)
            losses_S = losses_S.index_add(0, slides, losses_T / num_S[slides])
        return losses_S / self._num_classes


class ClassHeads(nn.Module):
    """One linear score for each class, of a vector of its own; the vectors stand side by side."""

    def __init__(self, size: int, num_classes: int) -> None:
        super().__init__()
        # Zeros, as `build_head` has it.
        self.weight_CE = nn.Parameter(torch.zeros(num_classes, size))
        self.bias_C = nn.Parameter(torch.zeros(num_classes))

    def forward(self, vectors_SV: Tensor) -> Tensor:
        """Logits, (S, C)."""
        vectors_SCE = vectors_SV.view(len(vectors_SV), *self.weight_CE.shape)
        return (vectors_SCE * self.weight_CE).sum(dim=2) + self.bias_C


def build_clam(
    config: HeadConfig, *, num_features: int, num_classes: int, generator: torch.Generator | None = None
) -> Clam:
    """CLAM with fresh weights, with as many branches as `config.aggregate` says; arguments as `build_head`."""
    size, several = config.embedding_size, config.aggregator == "clam_mb"
    embed = fresh_linear(num_features, size, 1.0 / math.sqrt(num_features), generator)
    # Tiles are ranked by their scores from the first step: these do not start at zero.
    attention = Attention(
        size,
        config.attention_size,
        generator,
        num_scores=num_classes if several else 1,
        bound=1.0 / math.sqrt(config.attention_size),
    )
    head: nn.Module
    if several:
        head = ClassHeads(size, num_classes)
    else:
        head = build_head(config, num_features=size, num_classes=num_classes, generator=generator)
    return Clam(attention, embed, head, num_classes=num_classes, num_tiles=config.instance_tiles, generator=generator)
