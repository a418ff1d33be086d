"""What a network is asked for that cannot be; known without torch, before any long work."""

from __future__ import annotations

from tilewise.encoders.card import EncoderCard
from tilewise.encoders.catalogue import find_card
from tilewise.encoders.config import EncoderConfig
from tilewise.errors import RecipeError
from tilewise.models.networks.config import NetworkConfig

# Families, and networks of our own, whose features are the mean of their last feature map.
_AVERAGE_FAMILIES = frozenset(
    {"densenet", "efficientnet", "efficientnet_lite", "mobilenet_v1", "resnet", "swin", "xception"}
)
_AVERAGE_CARDS = frozenset({"simple_cnn"})
_OF_FEATURES = ("with_texture", "engine", "precision", "batch_size", "threads")


def check_network(network: NetworkConfig, encoder: EncoderConfig) -> None:
    """Refuse what a network on pixels cannot be made from.

    Raises:
        UsageError: there is no such encoder.
        RecipeError: an encoder is no network, or a key would be ignored; names the key and what to set instead.
    """
    if not find_card(encoder.name).is_network:
        raise RecipeError(
            f"encoder.name: {encoder.name} is computed, it is no network: nothing of it can be trained "
            f"(network.trained: {network.trained}) and it takes tiles alone (network.input: {network.input}); train a "
            "head on its features, or choose a network, such as encoder.name=resnet18"
        )
    if network.input == "dual_branch" and not find_card(network.mask_encoder).is_network:
        raise RecipeError(
            f"network.mask_encoder: {network.mask_encoder} is computed, it is no network; choose one, such as "
            "simple_cnn"
        )
    if encoder.pooling == "stages" and network.pooling != "encoder":
        raise RecipeError(
            f"network.pooling: {network.pooling} pools the last feature map, encoder.pooling=stages pools several; set "
            "network.pooling=encoder, or encoder.pooling=last"
        )
    fresh = EncoderConfig()
    asked = [name for name in _OF_FEATURES if getattr(encoder, name) != getattr(fresh, name)]
    if asked:
        raise RecipeError(
            f"encoder.{' and encoder.'.join(asked)}: only for features that are made once, not for a network that is "
            "trained on pixels; drop this"
        )


def pools_by_average(card: EncoderCard) -> bool:
    """Whether an encoder's features are the mean of its last feature map, so that `network.pooling=average` is idle."""
    return card.family in _AVERAGE_FAMILIES or card.name in _AVERAGE_CARDS
