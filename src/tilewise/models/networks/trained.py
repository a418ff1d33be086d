"""How much of a network is trained, when, and at which rates."""

from __future__ import annotations

from collections.abc import Collection
from typing import assert_never

from torch import nn

from tilewise.models.networks.config import NetworkConfig


def num_trained_blocks(config: NetworkConfig, epoch: int, num_blocks: int) -> int:
    """How many of an encoder's blocks, from the last on, are trained in an epoch.

    Args:
        config: how much is trained.
        epoch: counted from 0.
        num_blocks: of the encoder; the head is none of them.
    """
    match config.trained:
        case "frozen":
            return 0
        case "last":
            return min(config.last_blocks, num_blocks)
        case "all":
            return num_blocks
        case "progressive":
            return min(config.blocks_per_stage * (epoch // config.epochs_per_stage), num_blocks)
    assert_never(config.trained)


def rate_factors(num_blocks: int, layer_decay: float) -> list[float]:
    """What the learning rate is multiplied by in each block of the encoder, stem first, and in the head, which is last.

    layer_decay ** distance from the head (Howard and Ruder 2018; Clark et al. 2020).
    """
    return [layer_decay ** (num_blocks - index) for index in range(num_blocks + 1)]


def set_requires_grad(network: nn.Module, trained: Collection[str]) -> None:
    """Train the parameters of these names, freeze all others and forget their gradients."""
    for name, parameter in network.named_parameters():
        parameter.requires_grad = name in trained
        if not parameter.requires_grad:
            parameter.grad = None


def normalises_by_batch(network: nn.Module) -> bool:
    """Whether a BatchNorm takes its statistics from the batch, so that tiles of a batch depend on each other."""
    norms = (module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm))  # noqa: SLF001
    return any(module.training for module in norms)


def rest_frozen(network: nn.Module) -> None:
    """Put every module whose parameters are all frozen into evaluation mode, so that its BatchNorm learns nothing."""
    for module in network.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()
