"""Weights averaged over the steps of training."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from tilewise.training_loop.config import StepConfig


class Ema:
    """Exponential moving average of all parameters and buffers (Polyak and Juditsky 1992; Tarvainen and Valpola 2017).

    After each step average = decay * average + (1 - decay) * weights. Statistics of BatchNorm are averaged as weights
    are; whole numbers are copied.

    Args:
        module: whose weights the average starts from, and is of.
        decay: what a step leaves of the average.
        warmup: take (1 + n) / (10 + n) for the n-th step, from 0, where that is less.
    """

    # torch's AveragedModel takes the weights after the first step as they are, where this one averages them with those
    # before; and it scores a copy of the module, not the one that is compiled or shared by several processes.

    def __init__(self, module: nn.Module, decay: float, *, warmup: bool = True) -> None:
        self._decay = decay
        self._warmup = warmup
        self._num_updates = 0
        self._average = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}

    @classmethod
    def of(cls, module: nn.Module, config: StepConfig) -> Ema | None:
        """The average a config asks for, if it does."""
        return None if config.ema_decay is None else cls(module, config.ema_decay, warmup=config.ema_warmup)

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Take in the weights after a step."""
        num, self._num_updates = self._num_updates, self._num_updates + 1
        decay = min(self._decay, (1 + num) / (10 + num)) if self._warmup else self._decay
        for name, tensor in module.state_dict().items():
            average = self._average[name]
            if average.is_floating_point():
                average.lerp_(tensor, 1.0 - decay)
            else:
                average.copy_(tensor)

    def weights(self) -> dict[str, Tensor]:
        """A copy of the average by the names of the module's `state_dict`."""
        return {name: tensor.clone() for name, tensor in self._average.items()}

    @contextlib.contextmanager
    def averaged(self, module: nn.Module) -> Iterator[None]:
        """Let the module have the average for as long as a block runs, to be scored; afterwards its own weights."""
        own = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
        module.load_state_dict(self._average)
        try:
            yield
        finally:
            module.load_state_dict(own)

    def state_dict(self) -> dict[str, Tensor]:
        """What a stopped training needs to go on; tensors by name."""
        return {"num_updates": torch.tensor(self._num_updates), **{f"of.{k}": v for k, v in self.weights().items()}}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a state of `state_dict`."""
        self._num_updates = int(state["num_updates"])
        for name, tensor in self._average.items():
            tensor.copy_(state[f"of.{name}"])
