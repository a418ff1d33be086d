"""Heads as torch modules. All randomness comes from the generator that is handed in."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from tilewise.models.config import HeadConfig


class SeededDropout(nn.Module):
    """Dropout (Srivastava et al. 2014) that draws from a generator of its own instead of the global one."""

    def __init__(self, probability: float, generator: torch.Generator | None) -> None:
        super().__init__()
        self.probability = probability
        self.generator = generator

    def forward(self, inputs: Tensor) -> Tensor:
        """Drop inputs while training, pass them on otherwise."""
        if not self.training or self.probability == 0.0:
            return inputs
        # Drawn on the processor, so that a GPU drops the same inputs.
        return inputs * self._scales(inputs.shape).to(inputs.device)

    def _scales(self, shape: torch.Size) -> Tensor:
        """0 for what is dropped, and for the rest what keeps the sum as it is on average."""
        # Sixteen bits decide about an input, and a draw serves four: a quarter of the time of a float for each. The
        # probability is rounded to a multiple of 2^-16, and the scale goes by the rounded one.
        num, dropped = shape.numel(), min(round(self.probability * _VALUES), _VALUES - 1)
        draws = torch.empty(-(-num // 4), dtype=torch.int64).random_(-(2**63), None, generator=self.generator)
        is_used = draws.numpy().view(np.uint16)[:num] >= dropped
        scales = np.multiply(is_used, np.float32(_VALUES / (_VALUES - dropped)), dtype=np.float32)
        return torch.from_numpy(scales).view(shape)


_VALUES = 2**16  # of 16 random bits


def build_head(
    config: HeadConfig, *, num_features: int, num_classes: int, generator: torch.Generator | None = None
) -> nn.Sequential:
    """A head with fresh weights: features_ND in, logits_NC out.

    The last layer starts at zero, so that training starts from equal probabilities and a linear head does not depend
    on the seed; hidden layers start uniform within 1 / sqrt(inputs), as torch has it.

    Args:
        config: what to build.
        num_features: D.
        num_classes: C.
        generator: draws initial weights and dropout; only needed for training.
    """
    hidden_sizes = config.hidden_sizes if config.kind == "mlp" else ()
    sizes = [num_features, *hidden_sizes, num_classes]
    layers: list[nn.Module] = []
    for depth, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        last = depth == len(hidden_sizes)
        if config.norm != "none" and (depth == 0 or not last):
            layers.append(_NORMS[config.norm](inputs))
        if config.dropout > 0.0:
            layers.append(SeededDropout(config.dropout, generator))
        layers.append(fresh_linear(inputs, outputs, 0.0 if last else 1.0 / math.sqrt(inputs), generator))
        if not last:
            layers.append(_ACTIVATIONS[config.activation]())
    return nn.Sequential(*layers)


def _group_norm(inputs: int) -> nn.GroupNorm:
    """GroupNorm (Wu and He 2018); a group of few inputs would keep little more than their signs."""
    most = max(1, min(_MOST_GROUPS, inputs // _LEAST_GROUP))
    return nn.GroupNorm(next(groups for groups in range(most, 0, -1) if inputs % groups == 0), inputs)


_MOST_GROUPS, _LEAST_GROUP = 32, 4
_NORMS: Mapping[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm1d,
    "layer": nn.LayerNorm,
    "group": _group_norm,
}
_ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {"relu": nn.ReLU, "silu": nn.SiLU}


def fresh_linear(
    inputs: int, outputs: int, bound: float, generator: torch.Generator | None, *, bias: bool = True
) -> nn.Linear:
    """A linear layer whose weights and biases are uniform within a bound, or zero where it is 0."""
    # Made without weights first, because the ordinary constructor draws them from the global generator.
    layer = nn.Linear(inputs, outputs, bias=bias, device="meta").to_empty(device="cpu")
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -bound, bound, generator=generator) if bound else nn.init.zeros_(parameter)
    return layer
