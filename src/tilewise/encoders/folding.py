"""BatchNorm multiplied into the convolution before it: other rounding, and one pass over memory less."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from tilewise.encoders.pooling import call_on_meta


def fold_batch_norms(network: nn.Module, side: int) -> int:
    """Fold each BatchNorm of a network in evaluation mode that is given just what one convolution gives.

    Args:
        network: from normalised images (B, 3, side, side) to features; it is changed. Its convolutions give their
            output to nothing but the BatchNorm, as all of the catalogue do.
        side: of the images, in pixels.

    Returns:
        How many were folded.
    """
    names = {module: name for name, module in network.named_modules()}
    pairs = [(conv, norm) for conv, norm in _pairs(network, side) if norm.track_running_stats]
    for conv, norm in pairs:
        conv.weight, conv.bias = fuse_conv_bn_weights(
            conv.weight, conv.bias, cast("Tensor", norm.running_mean), cast("Tensor", norm.running_var), norm.eps,
            norm.weight, norm.bias,
        )  # fmt: skip
        # timm's BatchNorms bring an activation with them.
        network.set_submodule(names[norm], cast("nn.Module", getattr(norm, "act", nn.Identity())))
    return len(pairs)


def _pairs(network: nn.Module, side: int) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Convolutions and BatchNorms that each run once, one on the output of the other."""
    outputs: dict[int, tuple[nn.Conv2d, Tensor]] = {}
    calls: Counter[nn.Module] = Counter()
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def note_conv(module: nn.Module, _inputs: Any, output: Tensor) -> None:
        calls[module] += 1
        outputs[id(output)] = cast("nn.Conv2d", module), output  # kept, so that no other tensor gets its id

    def note_norm(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        calls[module] += 1
        if id(inputs[0]) in outputs:
            pairs.append((outputs[id(inputs[0])][0], cast("nn.BatchNorm2d", module)))

    handles: list[torch.utils.hooks.RemovableHandle] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            handles.append(module.register_forward_hook(note_conv))
        elif isinstance(module, nn.BatchNorm2d):
            handles.append(module.register_forward_pre_hook(note_norm))
    call_on_meta(network, side)
    for handle in handles:
        handle.remove()
    return [(conv, norm) for conv, norm in pairs if calls[conv] == calls[norm] == 1]
