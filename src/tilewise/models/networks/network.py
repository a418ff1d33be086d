"""A network on pixels: tiles in, logits out."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, Self, assert_never

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tilewise.encoders.card import EncoderCard
from tilewise.encoders.pooling import remove_unused
from tilewise.models.config import HeadConfig
from tilewise.models.heads import build_head
from tilewise.models.networks.batch import TileBatch
from tilewise.models.networks.blocks import Block, encoder_blocks, undecayed_names
from tilewise.models.networks.config import NetworkConfig
from tilewise.models.networks.inputs import FeatureMap, Pixels, add_mask_channel, crop_middle
from tilewise.models.networks.trained import (
    normalises_by_batch,
    num_trained_blocks,
    rate_factors,
    rest_frozen,
    set_requires_grad,
)

CardAndNetwork = tuple[EncoderCard, nn.Module]


class TileNetwork(nn.Module):
    """Encoder, what its input needs, and head.

    Args:
        config: input, pooling and blocks.
        encoder: card and network, as `create_network` made it; the network is taken over and changed.
        head: of what the encoder gives.
        num_classes: C.
        seed: of the head's weights and of dropout.
        mask_encoder: card and network of the mask's encoder, for dual_branch.

    Attributes:
        config: input, pooling and blocks.
        card: of the encoder, at the side it is used at.
        head_config: of the head.
        mask_card: of the mask's encoder, if there is one.
        blocks: stem first, head last; the head's block holds everything that is always trained.
        num_chunks: in which encoders that look at each tile alone take a batch to learn from; above 1, what a chunk
            keeps for its gradients is dropped and computed again (Chen et al. 2016).
    """

    def __init__(
        self,
        config: NetworkConfig,
        encoder: CardAndNetwork,
        head: HeadConfig,
        *,
        num_classes: int,
        seed: int,
        mask_encoder: CardAndNetwork | None = None,
    ) -> None:
        super().__init__()
        self.config, self.head_config, self.num_classes = config, head, num_classes
        self.card, body = encoder
        blocks = {
            block.name: [body.get_parameter(name) for name in block.parameters]
            for block in encoder_blocks(body, config.blocks)
        }
        undecayed = [body.get_parameter(name) for name in undecayed_names(body)]
        dim = self.card.dim
        if config.pooling != "encoder":
            body = FeatureMap(body, flatten=config.pooling == "flatten")
        if config.pooling != "encoder" or self.card.pooling == "stages":
            dim = remove_unused(body, self.card.input_px)
        if config.input == "mask_channel":
            add_mask_channel(body, mean=config.mask_weights == "mean")
        self.encoder = body
        self.wide_encoder = copy.deepcopy(body) if config.streams == "separate" else None
        self.pixels = Pixels(self.card)
        self.mask_card = self.mask_encoder = None
        if mask_encoder is not None:
            self.mask_card, self.mask_encoder = mask_encoder
            self.mask_pixels = Pixels(self.mask_card)
        num_features = dim * _num_views(config) + (self.mask_card.dim if self.mask_card else 0)
        generator = torch.Generator().manual_seed(seed)
        self.head = build_head(head, num_features=num_features, num_classes=num_classes, generator=generator)
        self.blocks = self._own_blocks(blocks)
        self.num_chunks = 1
        self._undecayed = frozenset(self._names_of(undecayed))
        self.train()

    @property
    def num_blocks(self) -> int:
        """Blocks of the encoder; the head is none of them."""
        return len(self.blocks) - 1

    def forward(self, batch: TileBatch) -> Tensor:
        """Logits (B, C).

        Raises:
            ValueError: the batch has not what the network's input needs.
        """
        logits_BC: Tensor = self.head(self.features(batch))
        return logits_BC

    def features(self, batch: TileBatch) -> Tensor:
        """What the head is given, (B, D)."""
        if self.config.crop_px is not None:
            batch = _cropped(batch, self.config.crop_px)
        num_fields = self.config.num_fields if self.config.input == "multi_scale" else 1
        if batch.images_BSCHW.shape[1] != num_fields:
            raise ValueError(
                f"the network takes {num_fields} fields of view a tile, got images {tuple(batch.images_BSCHW.shape)}"
            )
        images_BCHW = self.pixels.images(batch.images_BSCHW.flatten(0, 1))
        match self.config.input:
            case "image":
                return self._encode(images_BCHW)
            case "mask_channel":
                return self._encode(torch.cat([images_BCHW, self.pixels.masks(_require(batch.masks_BHW, "masks"))], 1))
            case "multi_scale":
                return self._encode(images_BCHW).reshape(len(batch), -1)
            case "dual_branch":
                assert self.mask_encoder is not None
                masks_BCHW = self.mask_pixels.grey(_require(batch.masks_BHW, "masks"))
                return torch.cat([self._encode(images_BCHW), self._in_chunks(self.mask_encoder, masks_BCHW)], dim=1)
            case "dual_stream":
                return self._encode_streams(images_BCHW, self.pixels.images(_require(batch.wides_BCHW, "wides")))
        assert_never(self.config.input)

    def start_epoch(self, epoch: int) -> int:
        """Train as much of the encoder as the config says for this epoch, counted from 0; returns how many blocks."""
        num_blocks = num_trained_blocks(self.config, epoch, self.num_blocks)
        self.set_trained(num_blocks)
        return num_blocks

    def set_trained(self, num_blocks: int) -> None:
        """Train the head and the last blocks of the encoder, and freeze the others.

        Frozen blocks get no gradients, and in training mode rest in evaluation mode, so that BatchNorm neither
        normalises by the batch nor learns from it.

        Raises:
            ValueError: the encoder has not so many blocks.
        """
        if not 0 <= num_blocks <= self.num_blocks:
            raise ValueError(f"the encoder has {self.num_blocks} blocks, {num_blocks} of them cannot be trained")
        trained = self.blocks[self.num_blocks - num_blocks :]
        set_requires_grad(self, {name for block in trained for name in block.parameters})
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Training mode for all that is trained; frozen parts stay in evaluation mode."""
        super().train(mode)
        rest_frozen(self)
        return self

    def parameter_groups(
        self, learning_rate: float, weight_decay: float, layer_decay: float | None = None
    ) -> list[dict[str, Any]]:
        """All parameters, frozen ones as well, in groups for an optimiser: by block, with and without decay.

        Biases, norms, tokens and embeddings of positions are not decayed.

        Args:
            learning_rate: of the head.
            weight_decay: of what is decayed.
            layer_decay: see `rate_factors`; None takes the config's.
        """
        decay = self.config.layer_decay if layer_decay is None else layer_decay
        parameters = dict(self.named_parameters())
        groups = []
        for block, factor in zip(self.blocks, rate_factors(self.num_blocks, decay), strict=True):
            for decayed in (True, False):
                chosen = [name for name in block.parameters if self._is_decayed(name, parameters[name]) == decayed]
                if chosen:
                    groups.append(
                        {
                            "name": block.name,
                            "params": [parameters[name] for name in chosen],
                            "lr": learning_rate * factor,
                            "factor": factor,
                            "weight_decay": weight_decay if decayed else 0.0,
                        }
                    )
        return groups

    def _is_decayed(self, name: str, parameter: Tensor) -> bool:
        return parameter.ndim > 1 and name not in self._undecayed

    def _encode(self, images_BCHW: Tensor) -> Tensor:
        return self._in_chunks(self.encoder, images_BCHW)

    def _in_chunks(self, encoder: nn.Module, images_BCHW: Tensor) -> Tensor:
        num = min(self.num_chunks, len(images_BCHW))
        features_BD: Tensor
        if num == 1 or not (self.training and torch.is_grad_enabled()) or normalises_by_batch(encoder):
            features_BD = encoder(images_BCHW)
        else:
            chunks = images_BCHW.tensor_split(num)
            features_BD = torch.cat([checkpoint(encoder, chunk, use_reentrant=False) for chunk in chunks])
        return features_BD

    def _encode_streams(self, images_BCHW: Tensor, wides_BCHW: Tensor) -> Tensor:
        if self.wide_encoder is not None:
            return torch.cat([self._encode(images_BCHW), self._in_chunks(self.wide_encoder, wides_BCHW)], dim=1)
        # In one call, so that BatchNorm sees one batch of both, as its running statistics do.
        return torch.cat(self._encode(torch.cat([images_BCHW, wides_BCHW])).chunk(2), dim=1)

    def _own_blocks(self, encoder: Mapping[str, Iterable[Tensor]]) -> tuple[Block, ...]:
        """The encoder's blocks and the head's by the names of their parameters in this network."""
        names_by_block = {name: self._names_of(parameters) for name, parameters in encoder.items()}
        taken = {name for names in names_by_block.values() for name in names}
        blocks = [Block(name, tuple(names)) for name, names in names_by_block.items() if names]
        return (*blocks, Block("head", tuple(name for name, _ in self.named_parameters() if name not in taken)))

    def _names_of(self, parameters: Iterable[Tensor]) -> list[str]:
        """Names of parameters of the encoder, where they are still in it, and of their copies in the second stream."""
        wanted = {id(parameter) for parameter in parameters}
        names = [name for name, parameter in self.encoder.named_parameters() if id(parameter) in wanted]
        towers = ("encoder", "wide_encoder") if self.wide_encoder is not None else ("encoder",)
        return [f"{tower}.{name}" for tower in towers for name in names]


def _num_views(config: NetworkConfig) -> int:
    """How many vectors of the encoder are joined."""
    return {"multi_scale": config.num_fields, "dual_stream": 2}.get(config.input, 1)


def _cropped(batch: TileBatch, side: int) -> TileBatch:
    """The middle of the tiles and of their masks; a batch that was cropped to learn from is left as it is."""
    masks = None if batch.masks_BHW is None else crop_middle(batch.masks_BHW, side)
    return TileBatch(crop_middle(batch.images_BSCHW, side), masks, batch.wides_BCHW)


def _require(tensor: Tensor | None, name: str) -> Tensor:
    if tensor is None:
        raise ValueError(f"the network takes {name} beside the images, and the batch has none")
    return tensor
