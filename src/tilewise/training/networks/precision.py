"""Numeric precision of a training: autocasting, the scaler of its loss, a compiled network."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

from tilewise.compute import default_threads
from tilewise.errors import TrainingError
from tilewise.training_config.training import TrainingConfig

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_LOADERS = 4  # threads that make batches for a graphics card


class Precision:
    """Computes any network in the precision that is asked for.

    Args:
        config: its `step` and `engine` count.
        device: where the network computes.
    """

    def __init__(self, config: TrainingConfig, device: torch.device) -> None:
        self._step, self._engine, self._device = config.step, config.engine, device
        self.scaler = torch.amp.GradScaler(device.type, enabled=config.step.precision == "float16")

    @property
    def num_loaders(self) -> int:
        """Threads that make batches ahead; on a processor one, since the network has the others."""
        return 1 if self._device.type == "cpu" else min(_LOADERS, default_threads())

    def autocast(self) -> torch.autocast:
        """A block in which the network computes in the precision that is asked for."""
        precision = self._step.precision
        return torch.autocast(self._device.type, _TYPES[precision], enabled=precision != "float32")

    def compiled(self, function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        """The function, compiled if that is asked for; its first call raises TrainingError where it cannot be."""
        if not self._engine.compile:
            return function
        compiled = torch.compile(function)

        def call(*args: Arguments.args, **options: Arguments.kwargs) -> Result:
            from torch._dynamo.exc import TorchDynamoException

            try:
                return compiled(*args, **options)
            except TorchDynamoException as error:
                raise TrainingError(
                    f"the network cannot be compiled here ({str(error).splitlines()[0]}); set "
                    "training.engine.compile=false, or install a C++ compiler"
                ) from error

        return call
