"""What is made of the outputs of a network's stages, and a network without the layers that nothing is made of."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from tilewise.encoders.card import Moment, Stage

# The square root has no slope at 0, where a channel is the same in all places.
_LEAST_VARIANCE = 1e-8


class StagePooling(nn.Module):
    """Moments of the outputs of a network's stages, side by side: each stage's in the order of its `moments`.

    They are computed in float32. A vision transformer's tokens are normalised by its last layer first, as DINOv2 does
    with those of earlier blocks.

    Args:
        network: of the builder.
        stages: of its card.
    """

    def __init__(self, network: nn.Module, stages: tuple[Stage, ...]) -> None:
        super().__init__()
        self.network, self.stages = network, stages
        self.channels_last = getattr(network, "output_fmt", "NCHW") == "NHWC"

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Normalised images to features (B, dim)."""
        moments: dict[str, Tensor] = {}
        # Hooks stay for one call, so that a copy of the network has none that belong to another.
        handles = [
            self.network.get_submodule(stage.module).register_forward_hook(partial(self._keep, moments, stage))
            for stage in self.stages
        ]
        try:
            cast("Any", self.network).forward_features(images_BCHW)
        finally:
            for handle in handles:
                handle.remove()
        return torch.cat([moments[stage.module] for stage in self.stages], dim=1)

    def _keep(self, moments: dict[str, Tensor], stage: Stage, _module: nn.Module, _inputs: Any, output: Tensor) -> None:
        # Now, and not after the call: the next layer may overwrite the output.
        moments[stage.module] = self._pooled(output, stage)

    def _pooled(self, output: Tensor, stage: Stage) -> Tensor:
        if output.ndim == 3:
            network = cast("Any", self.network)
            tokens_BTD = network.norm(output).float()
            first = int(network.num_prefix_tokens)
            return _moments(tokens_BTD[:, first:], 1, stage.moments, class_token=tokens_BTD[:, 0])
        return _moments(output.float(), (1, 2) if self.channels_last else (2, 3), stage.moments)


def _moments(
    places: Tensor, axes: int | tuple[int, int], moments: tuple[Moment, ...], class_token: Tensor | None = None
) -> Tensor:
    mean = places.mean(dim=axes, keepdim=True)
    parts: list[Tensor] = []
    for moment in moments:
        match moment:
            case "mean":
                parts.append(mean.flatten(1))
            case "deviation":
                variance = (places - mean).square().mean(dim=axes)
                parts.append(variance.clamp(min=_LEAST_VARIANCE).sqrt())
            case "class":
                assert class_token is not None
                parts.append(class_token)
    return torch.cat(parts, dim=1)


def remove_unused(network: nn.Module, side: int) -> int:
    """Take out of a network that ends early the modules that an image does not pass, so that none waits to be trained.

    Args:
        network: from normalised images (B, 3, side, side) to features (B, D); it is changed.
        side: of the images, in pixels.

    Returns:
        D.
    """
    features_BD, weights = call_on_meta(network, side)
    gradients = torch.autograd.grad(features_BD.sum(), list(weights.values()), allow_unused=True)
    used = {name for name, gradient in zip(weights, gradients, strict=True) if gradient is not None}
    _remove_others(network, used)
    return int(features_BD.shape[1])


def call_on_meta(network: nn.Module, side: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Call a network on the shapes of two images alone: nothing is copied or computed.

    Returns:
        Features (2, D), and the weights by name; the first can be differentiated by the second.
    """
    # The caller may be in inference mode.
    with torch.inference_mode(mode=False), torch.enable_grad():
        weights = {
            name: torch.empty(one.shape, device="meta", requires_grad=True) for name, one in network.named_parameters()
        }
        buffers = {name: torch.empty_like(one, device="meta") for name, one in network.named_buffers()}
        images_BCHW = torch.zeros(2, 3, side, side, device="meta")
        features_BD = torch.func.functional_call(network, {**weights, **buffers}, (images_BCHW,))
    return features_BD, weights


def _remove_others(module: nn.Module, used: Collection[str], prefix: str = "") -> None:
    """Replace the modules none of whose parameters is used, outermost first."""
    for name, child in list(module.named_children()):
        names = [f"{prefix}{name}.{parameter}" for parameter, _ in child.named_parameters()]
        if names and not any(parameter in used for parameter in names):
            setattr(module, name, nn.Identity())
        else:
            _remove_others(child, used, f"{prefix}{name}.")
