"""Published state dicts to the names a network knows its weights by."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from tilewise.encoders.card import Conversion

State = dict[str, torch.Tensor]

# What training scripts put around the weights; the teacher of self-distillation is the network to use.
_WRAPPERS = ("state_dict", "model_state_dict", "teacher", "model", "network", "net", "encoder", "backbone")
# timm keeps the readers of foreign checkpoints beside each architecture, under one of these names.
_READERS = ("checkpoint_filter_fn", "_filter_fn", "_filter_torchvision_pretrained")


def unwrap(checkpoint: Any) -> State | None:
    """The state dict inside a checkpoint; None where there is none."""
    while isinstance(checkpoint, Mapping):
        tensors = {str(key): value for key, value in checkpoint.items() if isinstance(value, torch.Tensor)}
        inner = next((checkpoint[key] for key in _WRAPPERS if isinstance(checkpoint.get(key), Mapping)), None)
        if inner is None:
            return tensors or None
        checkpoint = inner
    return None


def strip_prefix(state: State, wanted: set[str]) -> State:
    """Take away what stands before the names of most weights, such as `module.` or `model.backbone.`.

    The prefix is not guessed from a list but read off: it is the commonest of what stands before the wanted names,
    where it explains at least half of them. Weights outside it (projection heads, a momentum copy) are left out.
    """
    last_words: dict[str, list[str]] = {}
    for name in wanted:
        last_words.setdefault(name.rpartition(".")[2], []).append(name)
    prefixes: Counter[str] = Counter()
    for key in state:
        for name in last_words.get(key.rpartition(".")[2], ()):
            if key == name or key.endswith("." + name):
                prefixes[key[: len(key) - len(name)]] += 1
    most = max(prefixes.values(), default=0)
    if most < len(wanted) / 2:
        return state
    prefix = min((text for text, count in prefixes.items() if count == most), key=len)
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def convert(state: State, conversion: Conversion) -> State:
    """Rename the weights of one publisher; files that are named as timm does already are left alone."""
    if conversion == "kimianet":
        return {re.sub(r"^(module\.)?model\.0\.", "features.", key): value for key, value in state.items()}
    if conversion == "transformers_vit" and any("attention.attention.query" in key for key in state):
        return _from_transformers_vit(state)
    if conversion == "efficientnet_lite" and "_conv_stem.weight" in state:
        return _from_efficientnet_lite(state)
    return state


def read_by_timm(state: State, network: nn.Module) -> State:
    """Let timm's own reader for this architecture rename and resample what it knows."""
    module = sys.modules[type(network).__module__]
    reader = next((getattr(module, name) for name in _READERS if hasattr(module, name)), None)
    if reader is None:
        return state
    arguments = (state, network) if reader.__name__ == "checkpoint_filter_fn" else (state,)
    read: State = reader(*arguments)
    return read


_VIT_NAMES = (
    (r"^embeddings\.cls_token$", "cls_token"),
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^encoder\.layer\.(\d+)\.attention\.output\.dense\.", r"blocks.\1.attn.proj."),
    (r"^encoder\.layer\.(\d+)\.intermediate\.dense\.", r"blocks.\1.mlp.fc1."),
    (r"^encoder\.layer\.(\d+)\.output\.dense\.", r"blocks.\1.mlp.fc2."),
    (r"^encoder\.layer\.(\d+)\.layernorm_before\.", r"blocks.\1.norm1."),
    (r"^encoder\.layer\.(\d+)\.layernorm_after\.", r"blocks.\1.norm2."),
    (r"^layernorm\.", "norm."),
)
_VIT_QUERY = re.compile(r"^encoder\.layer\.(\d+)\.attention\.attention\.query\.(weight|bias)$")
_VIT_UNUSED = re.compile(
    r"^(pooler\.|classifier\.|embeddings\.mask_token$|encoder\.layer\.\d+\.attention\.attention\.)"
)


def _from_transformers_vit(state: State) -> State:
    """The vision transformer of the transformers library keeps query, key and value apart; timm stacks them."""
    state = {key.removeprefix("vit."): value for key, value in state.items()}
    converted: State = {}
    for key, value in state.items():
        query = _VIT_QUERY.match(key)
        if query:
            parts = [value, *(state[key.replace(".query.", f".{other}.")] for other in ("key", "value"))]
            converted[f"blocks.{query[1]}.attn.qkv.{query[2]}"] = torch.cat(parts)
        elif not _VIT_UNUSED.match(key):
            name = key
            for pattern, replacement in _VIT_NAMES:
                name = re.sub(pattern, replacement, name)
            converted[name] = value
    return converted


_LITE_MODULES = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_LITE_LAYERS = {
    "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2", "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}  # fmt: skip
# Blocks of the first stage expand nothing; timm builds them of other layers.
_LITE_LAYERS_UNEXPANDED = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}


def _from_efficientnet_lite(state: State) -> State:
    """EfficientNet-Lite-PyTorch numbers blocks through; timm numbers stages, and blocks within each.

    A stage begins where the number of a block's output channels changes.
    """
    places: dict[str, str] = {}
    stage, place, width = -1, 0, 0
    while (projection := state.get(f"_blocks.{len(places)}._project_conv.weight")) is not None:
        begins = len(projection) != width
        stage, place, width = stage + begins, 0 if begins else place + 1, len(projection)
        places[str(len(places))] = f"blocks.{stage}.{place}"
    converted: State = {}
    for key, value in state.items():
        module, _, rest = key.partition(".")
        if module != "_blocks":
            converted[f"{_LITE_MODULES.get(module, module)}.{rest}"] = value
            continue
        number, layer, rest = rest.split(".", 2)
        expands = f"_blocks.{number}._expand_conv.weight" in state
        layers = _LITE_LAYERS if expands else _LITE_LAYERS_UNEXPANDED
        converted[f"{places[number]}.{layers[layer]}.{rest}"] = value
    return converted
