"""What SimCLR puts around an encoder: vectors that are compared, and the loss over them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tilewise.models.networks import TileBatch, TileNetwork
from tilewise.training_config.pretrain import PretrainConfig


def nt_xent(vectors_VD: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """The normalised, temperature-scaled cross-entropy of views, and the share that are most like their partner.

    Each view is to be told from all others of the batch by its partner, the other view of its tile: cross-entropy over
    cosines divided by the temperature (Chen et al., A simple framework for contrastive learning of visual
    representations, ICML 2020).

    Args:
        vectors_VD: V = 2B views; those of the tiles in order, then once more.
        temperature: above 0.

    Returns:
        Two numbers: the mean over all views, and a share from 0 to 1.
    """
    num_views = len(vectors_VD)
    units_VD = nn.functional.normalize(vectors_VD.float(), dim=1)
    itself_VV = torch.eye(num_views, dtype=torch.bool, device=vectors_VD.device)
    likeness_VV = (units_VD @ units_VD.T / temperature).masked_fill(itself_VV, -torch.inf)
    partner_V = torch.arange(num_views, device=vectors_VD.device).roll(num_views // 2)
    found_V = likeness_VV.detach().argmax(dim=1) == partner_V
    return nn.functional.cross_entropy(likeness_VV, partner_V), found_V.float().mean()


class SimCLR(nn.Module):
    """A network's features, and the two layers that only pretraining has, each with BatchNorm as in the authors' code.

    Args:
        network: its encoder is trained in place, all of it; its head takes no part.
        config: width and length of the projection.
        seed: of the projection's weights.
    """

    def __init__(self, network: TileNetwork, config: PretrainConfig, *, seed: int) -> None:
        super().__init__()
        self.network = network
        num_features = num_features_of(network)
        hidden = config.projection_hidden or num_features
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.projection = nn.Sequential(
                nn.Linear(num_features, hidden, bias=False),
                nn.BatchNorm1d(hidden),
                nn.ReLU(),
                nn.Linear(hidden, config.projection_dim, bias=False),
                nn.BatchNorm1d(config.projection_dim),
            )
        network.set_trained(network.num_blocks)
        self.train()

    def forward(self, batch: TileBatch) -> Tensor:
        """Vectors to be compared, (B, projection_dim)."""
        vectors_BD: Tensor = self.projection(self.network.features(batch))
        return vectors_BD

    def parameter_groups(self, learning_rate: float, weight_decay: float) -> list[dict[str, object]]:
        """All that is trained, in groups for an optimiser, with and without decay."""
        idle = {id(parameter) for parameter in self.network.head.parameters()}
        groups: list[dict[str, object]] = []
        for group in self.network.parameter_groups(learning_rate, weight_decay, layer_decay=1.0):
            own = [parameter for parameter in group["params"] if id(parameter) not in idle]
            if own:
                groups.append({"params": own, "weight_decay": group["weight_decay"]})
        groups += [
            {"params": [parameter], "weight_decay": weight_decay if parameter.ndim > 1 else 0.0}
            for parameter in self.projection.parameters()
        ]
        return groups


def num_features_of(network: TileNetwork) -> int:
    """The length of what the network's head is given."""
    return next(layer.in_features for layer in network.head.modules() if isinstance(layer, nn.Linear))
