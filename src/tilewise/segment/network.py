"""The U-Net: an encoder of the catalogue, the decoder of segmentation-models-pytorch."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn

from tilewise.encoders import find_card
from tilewise.encoders.card import EncoderCard
from tilewise.encoders.config import EncoderConfig
from tilewise.encoders.find_weights import find_weights
from tilewise.encoders.licences import check_licence
from tilewise.encoders.load_weights import load_weights
from tilewise.encoders.networks import create_network
from tilewise.errors import EncoderUnavailable, UsageError
from tilewise.segment.config import UNetConfig
from tilewise.torchvision_repair import import_repaired, import_timm

_CHOOSE = "choose a convolutional one (segment.unet.encoder=resnet18)"


def create_unet(config: UNetConfig, *, seed: int) -> nn.Module:
    """Build a U-Net (Ronneberger et al. 2015) with random weights drawn from the seed.

    It takes uint8 pictures as float tensors (B, 3, side, side), normalised as the encoder's card says, and gives logits
    (B, 1, side, side). The global random state is left as it was.

    Raises:
        UsageError: segmentation-models-pytorch is not installed, or the encoder has no feature maps a U-Net can use.
    """
    card = find_card(config.encoder)
    if card.builder != "timm":
        raise UsageError(f"segment.unet.encoder {card.name}: a U-Net cannot be built on it; {_CHOOSE}")
    try:
        import_timm()
        library = import_repaired("segmentation_models_pytorch")
    except ImportError as error:
        raise UsageError(
            f"segment.method unet needs segmentation-models-pytorch ({error}); pip install 'tilewise[segment]'"
        ) from error
    channels = [config.width * 2 ** max(0, stage - 1) for stage in range(config.depth)][::-1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            network = library.Unet(
                f"tu-{card.architecture}",
                encoder_depth=config.depth,
                encoder_weights=None,
                decoder_channels=channels,
                classes=1,
            )
            _try_out(network, config.depth)
        except Exception as error:
            # timm and smp refuse in many ways; each means that this encoder does not fit.
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise UsageError(
                f"segment.unet.encoder {card.name}: a U-Net cannot be built on it ({reason}); {_CHOOSE}"
            ) from error
    # Convolutions with few channels run a third faster on a processor in this layout.
    return cast("nn.Module", network.to(memory_format=torch.channels_last))


def load_encoder(network: nn.Module, config: UNetConfig, *, offline: bool) -> str:
    """Give the U-Net's encoder the weights of the catalogue; returns the path of their file.

    Raises:
        EncoderUnavailable: they are not here, their licence is not accepted, or they do not fit.
    """
    card = find_card(config.encoder)
    check_licence(card)
    path = find_weights(card, EncoderConfig(name=card.name, weights=config.weights), offline=offline)
    whole = create_network(card, seed=None)
    load_weights(whole, card, path)
    _carry_over(whole, network, card)
    return str(path)


def normalised(squares_BHWC: torch.Tensor, card: EncoderCard) -> torch.Tensor:
    """Pictures, uint8 (B, H, W, 3), as the encoder takes them: float32 (B, 3, H, W), channels last in memory."""
    mean, std = torch.tensor(card.mean), torch.tensor(card.std)
    return ((squares_BHWC.float() / 255.0 - mean) / std).permute(0, 3, 1, 2)


def _try_out(network: Any, depth: int) -> None:
    network.eval()
    with torch.inference_mode():
        side = 2 ** max(depth, 5) * 2
        logits = network(torch.zeros(1, 3, side, side))
    if tuple(logits.shape) != (1, 1, side, side):
        raise ValueError(f"its logits have the shape {tuple(logits.shape)}")


def _carry_over(whole: nn.Module, network: nn.Module, card: EncoderCard) -> None:
    """Copy weights by name. timm writes `layers_0` for `layers.0` where it takes a network apart for its features."""
    weights = {name.replace(".", "_"): tensor for name, tensor in whole.state_dict().items()}
    encoder = cast("nn.Module", network.encoder).model
    wanted = cast("nn.Module", encoder).state_dict()
    matched = {}
    for name, tensor in wanted.items():
        plain = name.removeprefix("model.").replace(".", "_")
        if plain not in weights or weights[plain].shape != tensor.shape:
            raise EncoderUnavailable(
                f"encoder {card.name}: its weight {name} has no place in a U-Net's encoder; set segment.unet.init to "
                f"random, or {_CHOOSE}"
            )
        matched[name] = weights[plain]
    cast("nn.Module", encoder).load_state_dict(matched)
