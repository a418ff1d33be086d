"""Everything a stopped training needs to go on, to the bit, in one file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tilewise.errors import ArtifactError
from tilewise.store import read_checksummed_tensors, write_checksummed_tensors
from tilewise.training_loop.ema import Ema
from tilewise.training_loop.schedules import Schedule

_SCHEMA = "tilewise.training-state"
_VERSION = 3
_AGAIN = "remove it, and the training starts from the beginning"


@dataclass(frozen=True)
class Checkpoint:
    """The parts of a training whose state is saved and put back.

    Attributes:
        module: the network.
        optimizer: of `build_optimizer`.
        schedule: of `build_schedule`.
        ema: the average of the weights, if there is one.
        scaler: of the loss, if there is one.
    """

    module: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    ema: Ema | None = None
    scaler: torch.amp.GradScaler | None = None

    def save(self, path: Path, description: Mapping[str, Any]) -> None:
        """Write the state as safetensors, `description` in its header: plain data, as epoch, inputs and history."""
        tensors, plain = _flat_optimizer(self.optimizer)
        tensors |= self._tensors()
        header = {
            "schema": _SCHEMA,
            "version": _VERSION,
            "about": dict(description),
            "optimizer": plain,
            "schedule": self.schedule.state_dict(),
            "scaler": {} if self.scaler is None else self.scaler.state_dict(),
        }
        # Copies, since tensors that share their memory are refused.
        own = {
            name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
        }
        write_checksummed_tensors(path, own, header, framework="torch")

    def load(self, path: Path) -> dict[str, Any]:
        """Put the state back and return what was told of it. A file that does not fit leaves all as it is.

        Raises:
            ArtifactError: the file is missing, damaged, or of another network or optimiser.
        """
        tensors, header = _read(path)
        saved = header["optimizer"]
        expected = {name: tensor.shape for name, tensor in self._tensors().items()}
        shapes = {name: tensors[name].shape for name in tensors if not name.startswith("optimizer.")}
        if expected != shapes or _lengths(saved) != _lengths(_flat_optimizer(self.optimizer)[1]):
            raise ArtifactError(f"{path} is the state of another training; {_AGAIN}")
        self.module.load_state_dict(_under("module.", tensors))
        self.optimizer.load_state_dict(_nested_optimizer(tensors, saved))
        self.schedule.load_state_dict(header["schedule"])
        if self.ema is not None:
            self.ema.load_state_dict(_under("ema.", tensors))
        if self.scaler is not None:
            self.scaler.load_state_dict(header["scaler"])
        description: dict[str, Any] = header["about"]
        return description

    def _tensors(self) -> dict[str, Tensor]:
        tensors = {f"module.{name}": tensor for name, tensor in self.module.state_dict().items()}
        if self.ema is not None:
            tensors |= {f"ema.{name}": tensor for name, tensor in self.ema.state_dict().items()}
        return tensors


def digest_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Of weights by name, on the processor: names, shapes and values, whichever file or seed they are of."""
    state = hashlib.blake2b(digest_size=20)
    for name, tensor in tensors.items():
        state.update(f"{name} {tuple(tensor.shape)}".encode())
        state.update(tensor.contiguous().numpy().tobytes())
    return state.hexdigest()


def read_description(path: Path) -> dict[str, Any]:
    """What was told of a saved state, without putting it back.

    Raises:
        ArtifactError: the file is missing or damaged.
    """
    description: dict[str, Any] = _read(path)[1]["about"]
    return description


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors, header = read_checksummed_tensors(path, again=_AGAIN, framework="torch")
    if (header.get("schema"), header.get("version")) != (_SCHEMA, _VERSION):
        raise ArtifactError(f"{path} was written by another version of tilewise; {_AGAIN}")
    return tensors, header


def _flat_optimizer(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors by `optimizer.<parameter>.<name>`, and all else as plain data."""
    state = optimizer.state_dict()
    tensors, plain = {}, {}
    for index, entries in state["state"].items():
        for name, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{index}.{name}"] = value
            else:
                plain[f"{index}.{name}"] = value
    return tensors, {
        "kind": type(optimizer).__name__,
        "param_groups": state["param_groups"],
        "state": plain,
    }


def _nested_optimizer(tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> dict[str, Any]:
    state: dict[int, dict[str, Any]] = {}
    for key, value in {**plain["state"], **_under("optimizer.", tensors)}.items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = value
    groups = [
        {key: tuple(value) if key == "betas" else value for key, value in group.items()}
        for group in plain["param_groups"]
    ]
    return {"state": state, "param_groups": groups}


def _lengths(plain: Mapping[str, Any]) -> tuple[str, list[int]]:
    """The optimiser's name and the number of parameters of each group."""
    return plain["kind"], [len(group["params"]) for group in plain["param_groups"]]


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
