"""A network on its device: forward passes, gradients and steps, in the precision and layout that are asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tilewise.encoders.runtime import num_processors
from tilewise.encoders.threads import reproducible
from tilewise.errors import TrainingError, UsageError
from tilewise.models.heads import SeededDropout
from tilewise.models.networks import TileBatch, TileNetwork
from tilewise.training.config import TrainingConfig
from tilewise.training.learning import Loss, Mix, penalty, seeded
from tilewise.training.pixels.batches import DROPOUT, Prepared, ahead, laid_out
from tilewise.training.pixels.data import PixelPart

_TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_LOADERS = 4  # threads that make batches for a graphics card


class Engine:
    """Everything between a batch and a step.

    Args:
        network: moved to the device, and trained in place.
        config: precision, layout, loss and step.
        device: of `find_device`.
    """

    def __init__(self, network: TileNetwork, config: TrainingConfig, device: torch.device) -> None:
        self.network, self.device, self._config = network.to(device), device, config
        if config.engine.channels_last:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # The head is left out: it is small, and draws its dropout on the processor.
        self._features = torch.compile(network.features) if config.engine.compile else network.features
        self._loss = Loss(config.loss)
        self.scaler = torch.amp.GradScaler(device.type, enabled=config.step.precision == "float16")

    @property
    def num_loaders(self) -> int:
        """Threads that make batches ahead; on a processor one, since the network has the others."""
        return 1 if self.device.type == "cpu" else min(_LOADERS, num_processors())

    def backward(self, prepared: Prepared, num_parts: int) -> Tensor:
        """Add the gradients of one of the batches that make a step; returns the batch's loss."""
        logits_BC = self._logits(prepared.batch, prepared.mix)
        loss = self._loss(logits_BC, prepared.targets_BC, prepared.weights_B)
        more = penalty(self._config.loss, self.network.parameters())
        loss = loss if more is None else loss + more
        torch.autograd.backward(self.scaler.scale(loss / num_parts if num_parts > 1 else loss))
        return loss.detach()

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip the gradients and make the step."""
        if self._config.step.clip_norm is not None:
            self.scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(self.network.parameters(), self._config.step.clip_norm)
        self.scaler.step(optimizer)
        self.scaler.update()

    def probabilities(self, part: PixelPart) -> NDArray[np.float32]:
        """Of all tiles of a part, float32 (N, C), in calls of one shape; the network is in evaluation mode after."""
        size, found = self._config.pace.tiles_per_batch(len(part)), []
        self.network.eval()

        def make(number: int) -> tuple[int, TileBatch]:
            chosen = np.arange(number * size, min((number + 1) * size, len(part)))
            batch = part.batch(chosen).padded(size).to(self.device, non_blocking=True)
            return len(chosen), laid_out(batch, channels_last=self._config.engine.channels_last)

        with torch.no_grad():
            for num, batch in ahead(make, -(-len(part) // size), num_workers=self.num_loaders):
                found.append(self._logits(batch, None)[:num].softmax(dim=1).cpu())
        probabilities_NC: NDArray[np.float32] = torch.cat(found).numpy()
        return probabilities_NC

    def start_epoch(self, epoch: int, seed: int) -> int:
        """Training mode, as much trained as the epoch asks for, and dropout that depends on seed and epoch alone.

        Returns:
            How many blocks of the encoder are trained.
        """
        number = seeded(seed, epoch, DROPOUT).initial_seed()
        torch.manual_seed(number)  # of encoders that drop; the caller's state comes back in `machine`
        for module in self.network.modules():
            if isinstance(module, SeededDropout) and module.generator is not None:
                module.generator.manual_seed(number)
        self.network.train()
        return self.network.start_epoch(epoch)

    def weights(self) -> dict[str, Tensor]:
        """A copy of all weights, on the processor."""
        return {name: tensor.detach().cpu().clone() for name, tensor in self.network.state_dict().items()}

    def _logits(self, batch: TileBatch, mix: Mix | None) -> Tensor:
        precision = self._config.step.precision
        with torch.autocast(self.device.type, _TYPES[precision], enabled=precision != "float32"):
            features_BD = self._run(batch)
            if mix is not None:
                features_BD = mix.features(features_BD)
            logits_BC: Tensor = self.network.head(features_BD)
        return logits_BC.float()

    def _run(self, batch: TileBatch) -> Tensor:
        if not self._config.engine.compile:
            return self._features(batch)
        from torch._dynamo.exc import TorchDynamoException

        try:
            return self._features(batch)
        except TorchDynamoException as error:
            raise TrainingError(
                f"the network cannot be compiled here ({str(error).splitlines()[0]}); set "
                "training.engine.compile=false, or install a C++ compiler"
            ) from error


def find_device(config: TrainingConfig) -> torch.device:
    """The device that a config asks for.

    Raises:
        UsageError: it is not there, or cannot compute in the precision that is asked for.
    """
    there = torch.cuda.is_available()
    if config.engine.device == "cuda" and not there:
        raise UsageError(
            "training.engine.device=cuda: torch sees no graphics card here; set training.engine.device=auto"
        )
    device = torch.device("cuda" if there and config.engine.device != "cpu" else "cpu")
    if config.step.precision == "float16" and device.type == "cpu":
        raise UsageError(
            "training.step.precision=float16 needs a graphics card, and torch sees none here; set bfloat16 or float32"
        )
    return device


@contextlib.contextmanager
def machine(device: torch.device, config: TrainingConfig) -> Iterator[int]:
    """Threads, and on a processor deterministic algorithms, for as long as a block runs; random state comes back.

    Yields:
        The number of threads.
    """
    num_threads = config.pace.num_threads or num_processors()
    cards: list[Any] = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cards), contextlib.ExitStack() as stack:
        if device.type == "cpu":
            stack.enter_context(reproducible(num_threads))
        yield num_threads
