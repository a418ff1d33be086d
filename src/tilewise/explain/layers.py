"""The last layer of a network in which places can still be told apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from torch import Tensor, nn

from tilewise.encoders.networks import bare_network
from tilewise.encoders.pooling import StagePooling
from tilewise.models.networks import TileNetwork
from tilewise.models.networks.inputs import FeatureMap

Reshape = Callable[[Tensor], Tensor]

_TOKEN_FAMILIES = frozenset({"vit", "vit_giant"})


def is_of_tokens(network: TileNetwork) -> bool:
    """Whether places are tokens that go their own ways, instead of a feature map that is pooled."""
    return network.card.family in _TOKEN_FAMILIES


def spatial_layer(network: TileNetwork) -> tuple[nn.Module, Reshape]:
    """The layer whose output is explained, and what makes a grid (B, C, h, w) of this output.

    Of a convolutional network, and of Swin, it is the last feature map, before it is pooled. Where several stages
    are pooled (`encoder.pooling: stages`) it is the last of them, and what the others add is not drawn. Of a vision
    transformer it is what goes into the last block, the class token and registers left out. Behind that block, a
    network that only pools its class token does not look at the others any more.

    Args:
        network: the caller's own; it is changed so that the last feature map can be listened to.
    """
    encoder = network.encoder
    body = cast("Any", encoder.network if isinstance(encoder, FeatureMap) else bare_network(encoder))
    if is_of_tokens(network):
        return body.blocks[-2], _grid_of_tokens(body)
    reshape = _channels_first if getattr(body, "output_fmt", "NCHW") == "NHWC" else _as_it_is
    if isinstance(encoder, StagePooling):
        return body.get_submodule(encoder.stages[-1].module), reshape
    tap, features = nn.Identity(), body.forward_features
    body.forward_features = lambda images_BCHW: tap(features(images_BCHW))
    return tap, reshape


def _grid_of_tokens(body: Any) -> Reshape:
    height, width = body.patch_embed.grid_size
    first = int(body.num_prefix_tokens)

    def reshape(tokens_BTD: Tensor) -> Tensor:
        places_BTD = tokens_BTD[:, first:]
        return places_BTD.reshape(len(places_BTD), height, width, -1).permute(0, 3, 1, 2)

    return reshape


def _channels_first(features_BHWC: Tensor) -> Tensor:
    return features_BHWC.permute(0, 3, 1, 2)


def _as_it_is(features_BCHW: Tensor) -> Tensor:
    return features_BCHW
