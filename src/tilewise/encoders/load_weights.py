"""Weights: from a file to a network, without ever unpickling."""

from __future__ import annotations

import logging
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tilewise.encoders.card import EncoderCard
from tilewise.encoders.conversions import State, convert, read_by_timm, strip_prefix, unwrap
from tilewise.encoders.find_weights import check_digest
from tilewise.encoders.networks import bare_network
from tilewise.errors import EncoderUnavailable

_log = logging.getLogger(__name__)

_SHOWN = 6


def load_weights(network: nn.Module, card: EncoderCard, path: Path) -> None:
    """Fill a network with the weights of a file: safetensors, or a state dict that torch reads with `weights_only`.

    What stands before the names (`module.`, `model.backbone.`) is taken away, the classifier is dropped, and everything
    the network needs has to be there.

    Raises:
        EncoderUnavailable: the file is damaged, cannot be read without unpickling, or belongs to another network.
    """
    check_digest(card, path)
    bare = bare_network(network)
    wanted = bare.state_dict()
    state = strip_prefix(convert(_read(card, path), card.conversion), set(wanted))
    state = read_by_timm(_without_classifier(state, bare), bare)
    # Counters of training steps, which old files do not have, change nothing.
    needed = {name for name in wanted if not name.endswith("num_batches_tracked")}
    missing = sorted(needed - state.keys())
    # A weight under one of the network's own modules that it has no place for tells of another architecture; a whole
    # module that it does not have (a projection head) is only left out.
    modules = {name.partition(".")[0] for name in wanted}
    foreign = sorted(name for name in state.keys() - wanted.keys() if name.partition(".")[0] in modules)
    misfits = sorted(
        f"{name} {tuple(state[name].shape)} instead of {tuple(wanted[name].shape)}"
        for name in wanted.keys() & state.keys()
        if state[name].shape != wanted[name].shape
    )
    faults = {"missing": missing, "unexpected": foreign, "of another shape": misfits}
    if any(faults.values()):
        summary = "; ".join(f"{len(names)} {what}: {_some(names)}" for what, names in faults.items() if names)
        raise EncoderUnavailable(
            f"encoder {card.name}: {path} does not hold its weights ({card.architecture}). {summary}. "
            "Give the file of this encoder, or the name of the encoder of this file"
        )
    unused = sorted(state.keys() - wanted.keys())
    if unused:
        _log.info("%s: %d weights of %s are not used: %s", card.name, len(unused), path.name, _some(unused))
    bare.load_state_dict({name: state[name] for name in wanted if name in state}, strict=False)


def _read(card: EncoderCard, path: Path) -> State:
    try:
        state = unwrap(_load(path))
    except pickle.UnpicklingError as error:
        raise EncoderUnavailable(
            f"encoder {card.name}: {path} holds Python objects beside its weights, and tilewise unpickles nothing. "
            "Save its state dict as safetensors (safetensors.torch.save_file) on a machine where you trust the file"
        ) from error
    except Exception as error:
        raise EncoderUnavailable(
            f"encoder {card.name}: {path} is no weights file ({error}); fetch it again from {card.address}"
        ) from error
    if state is None:
        raise EncoderUnavailable(f"encoder {card.name}: {path} holds no weights; give a file with a state dict")
    return state


def _load(path: Path) -> Any:
    with path.open("rb") as stream:
        head = stream.read(9)
    # The header of a safetensors file is JSON, after its length in 8 bytes; the name may have lost its suffix.
    if path.suffix == ".safetensors" or head[8:9] == b"{":
        from safetensors.torch import load_file

        return load_file(path)
    if zipfile.is_zipfile(path):
        # torch does not compare the checksums that it writes, and takes damaged numbers.
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"{damaged} inside is damaged")
    with warnings.catch_warnings():
        # torch warns that a file of another pickle protocol may be refused; whether it is, shows a moment later.
        warnings.simplefilter("ignore", UserWarning)
        return torch.load(path, map_location="cpu", weights_only=True)


def _without_classifier(state: State, network: nn.Module) -> State:
    config = getattr(network, "pretrained_cfg", None) or {}
    names = config.get("classifier") or ()
    heads = {names} if isinstance(names, str) else set(names)
    # Classifiers as torchvision, the original authors and training scripts call them.
    heads |= {"fc", "head", "classifier", "last_linear", "fc_4", "head.fc", "heads"}
    wanted = network.state_dict()
    return {
        key: value
        for key, value in state.items()
        if key in wanted or not any(key == f"{head}.{part}" for head in heads for part in ("weight", "bias"))
    }


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
