"""What every learnt way from tiles to a slide is: a pooling of bags, and a head on what it gives."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from tilewise.models.tile_bags import TileBags


class Pooled(NamedTuple):
    """What a pooling gives of some slides.

    Attributes:
        vectors_SV: what the head sees of each slide.
        weights_NB: how much each tile counts in its slide, in one branch or in one for each class; the weights of a
            slide sum to 1 in every branch.
        losses_S: loss of tiles that the architecture adds in training, of each slide; None where it has none.
    """

    vectors_SV: Tensor
    weights_NB: Tensor
    losses_S: Tensor | None = None


class BagModel(nn.Module):
    """Base of the learnt ways from tiles to slides; subclasses have a `head` and a `pool`.

    A new one is a file with a subclass and its builder, a line in `bag_models.BUILDERS` and its name in
    `config.Aggregator`; or a plugin.
    """

    head: nn.Module

    def pool(self, bags: TileBags, labels_S: Tensor | None = None) -> Pooled:
        """Pool the tiles of each slide.

        Args:
            bags: tiles; every slide has at least one.
            labels_S: class of each slide, int64, in training; only then losses are worked out.
        """
        raise NotImplementedError

    def forward(self, bags: TileBags) -> Tensor:
        """Logits of slides, (S, C)."""
        logits_SC: Tensor = self.head(self.pool(bags).vectors_SV)
        return logits_SC
