"""The blocks of an encoder's network, in the order in which an image passes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from tilewise.encoders.card import EncoderCard
from tilewise.encoders.networks import bare_network, create_network
from tilewise.models.networks.config import Grain
from tilewise.torchvision_repair import import_timm


@dataclass(frozen=True)
class Block:
    """A part of a network that is trained or frozen as a whole.

    Attributes:
        name: the module its weights are in; `stem` for the first.
        parameters: their names in the network.
    """

    name: str
    parameters: tuple[str, ...]


def encoder_blocks(network: nn.Module, grain: Grain) -> tuple[Block, ...]:
    """The blocks of a network made by `create_network`, the stem first; every parameter is in exactly one.

    timm knows for each of its architectures which weights belong together (`group_matcher`): coarse, that is stages;
    fine, single layers. A normalisation at the end belongs to the block before it, since alone it has little to learn.

    Args:
        network: as it was created, before anything is added to it.
        grain: coarse or fine.
    """
    bare: Any = bare_network(network)
    import_timm()
    from timm.models import group_parameters

    groups = group_parameters(bare, bare.group_matcher(coarse=grain == "coarse"))
    merged: list[list[str]] = []
    for _, names in sorted(groups.items()):
        if merged and all(bare.get_parameter(name).ndim < 2 for name in names):
            merged[-1] += names
        else:
            merged.append(list(names))
    prefix = _prefix(network)
    titles = ["stem", *(_title(names, merged) for names in merged[1:])]
    return tuple(
        Block(title, tuple(prefix + name for name in names)) for title, names in zip(titles, merged, strict=True)
    )


def undecayed_names(network: nn.Module) -> tuple[str, ...]:
    """Parameters that its authors exclude from weight decay though they are matrices: tokens, embeddings of places."""
    bare: Any = bare_network(network)
    names = bare.no_weight_decay() if hasattr(bare, "no_weight_decay") else ()
    existing = dict(bare.named_parameters())
    return tuple(_prefix(network) + name for name in sorted(names) if name in existing)


def block_table(card: EncoderCard) -> list[dict[str, Any]]:
    """The coarse blocks of a card's network, as JSON data: name, number of fine blocks, parameters, their share of all.

    Nothing is computed and no weights are read. An encoder that is no network has none.
    """
    if not card.is_network:
        return []
    with torch.device("meta"):
        network = create_network(card, seed=None)
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    fine = encoder_blocks(network, "fine")
    rows = []
    for block in encoder_blocks(network, "coarse"):
        num_parameters = sum(sizes[name] for name in block.parameters)
        rows.append(
            {
                "name": block.name,
                "layers": sum(one.parameters[0] in block.parameters for one in fine),
                "parameters": num_parameters,
                "share": num_parameters / sum(sizes.values()),
            }
        )
    return rows


def _prefix(network: nn.Module) -> str:
    return "" if bare_network(network) is network else "network."


def _title(names: Sequence[str], groups: Sequence[Sequence[str]]) -> str:
    """The shortest module name that the first of the names begins with and no other group's does."""
    others = [name for group in groups if group is not names for name in group]
    words = names[0].split(".")[:-1]
    for length in range(1, len(words)):
        title = ".".join(words[:length])
        if not any(name.startswith(f"{title}.") for name in others):
            return title
    return ".".join(words)
