"""A network on its device: forward passes and losses, in the precision and layout that are asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tilewise.compute import default_threads, reproducible
from tilewise.errors import UsageError
from tilewise.execution import current_ray
from tilewise.models.heads import SeededDropout
from tilewise.models.networks import TileBatch, TileNetwork
from tilewise.training.networks.batches import DROPOUT, TrainingBatch, prefetch, to_memory_format
from tilewise.training.networks.data import TilePart
from tilewise.training.networks.precision import Precision
from tilewise.training.networks.worker import Worker
from tilewise.training_config.training import TrainingConfig
from tilewise.training_loop import Loss, Mix, penalty, seeded


class Engine:
    """Everything between a batch and its loss.

    Args:
        network: moved to the device, and trained in place.
        config: precision, layout and loss.
        worker: whose processes train the network, and where this one of them computes.
        class_weights_C: weight of each class in the loss.
    """

    def __init__(
        self, network: TileNetwork, config: TrainingConfig, worker: Worker, class_weights_C: NDArray[np.float64]
    ) -> None:
        self.network, self.device, self._config = network.to(worker.device), worker.device, config
        if config.engine.channels_last:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.precision = Precision(config, worker.device)
        # The head is left out: it is small, and draws its dropout on the processor.
        self._features = self.precision.compiled(network.features)
        self._loss = Loss(config.loss, class_weights_C)
        self._worker = worker

    def loss(self, prepared: TrainingBatch) -> Tensor:
        """The loss of a batch, with penalties."""
        logits_BC = self._logits(prepared.batch, prepared.mix)
        loss = self._loss(logits_BC, prepared.targets_BC, prepared.weights_B)
        more = penalty(self._config.loss, self.network.parameters())
        return loss if more is None else loss + more

    def saved_bytes(self, batch: TileBatch) -> int:
        """What the network keeps of a batch for its gradients; nothing in it changes."""
        own = {tensor.untyped_storage().data_ptr() for tensor in self.network.state_dict().values()}
        sizes: dict[int, int] = {}

        def note(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                sizes[storage.data_ptr()] = storage.nbytes()
            return tensor

        buffers = {name: buffer.clone() for name, buffer in self.network.named_buffers()}
        batch = to_memory_format(batch.to(self.device), channels_last=self._config.engine.channels_last)
        cards: list[Any] = [self.device] if self.device.type == "cuda" else []
        with (
            torch.random.fork_rng(devices=cards),
            torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor),
        ):
            logits_BC = self._logits(batch, None)  # kept: what it is made from must not be freed before it is counted
        for name, buffer in self.network.named_buffers():
            buffer.copy_(buffers[name])
        del logits_BC
        return sum(sizes.values())

    def probabilities(self, part: TilePart) -> NDArray[np.float32]:
        """Of all tiles of a part, float32 (N, C), in calls of one shape; the network is in evaluation mode after."""
        size, probabilities = self._config.epoch_config.tiles_per_batch(len(part)), []
        self.network.eval()

        def make(number: int) -> tuple[int, TileBatch]:
            chosen = np.arange(number * size, min((number + 1) * size, len(part)))
            batch = part.batch(chosen).padded(size).to(self.device, non_blocking=True)
            return len(chosen), to_memory_format(batch, channels_last=self._config.engine.channels_last)

        with torch.no_grad():
            for num, batch in prefetch(make, -(-len(part) // size), num_workers=self.precision.num_loaders):
                probabilities.append(self._logits(batch, None)[:num].softmax(dim=1).cpu())
        probabilities_NC: NDArray[np.float32] = torch.cat(probabilities).numpy()
        return probabilities_NC

    def start_epoch(self, epoch: int, seed: int) -> int:
        """Training mode, as much trained as the epoch asks for, and dropout that depends on seed and epoch alone.

        Returns:
            How many blocks of the encoder are trained.
        """
        # Every process drops other inputs.
        number = seeded(seed, epoch, DROPOUT, *self._worker.stream).initial_seed()
        torch.manual_seed(number)  # of encoders that drop; the caller's state comes back in `training_threads`
        for module in self.network.modules():
            if isinstance(module, SeededDropout) and module.generator is not None:
                module.generator.manual_seed(number)
        self.network.train()
        num_blocks = self.network.start_epoch(epoch)
        self._worker.join(self.network, num_blocks)
        return num_blocks

    def _logits(self, batch: TileBatch, mix: Mix | None) -> Tensor:
        with self.precision.autocast():
            if self._worker.joined is not None and self.network.training:
                logits_BC: Tensor = self._worker.joined(batch)
            else:
                features_BD = self._features(batch)
                if mix is not None:
                    features_BD = mix.features(features_BD)
                logits_BC = self.network.head(features_BD)
        return logits_BC.float()


def num_devices(config: TrainingConfig, device: torch.device) -> int:
    """How many devices train one network together, of this machine or, where there is one, of the cluster.

    Raises:
        UsageError: there are not so many graphics cards.
    """
    there, wanted, cluster = 1, config.engine.devices, current_ray()
    if device.type == "cuda":
        there = torch.cuda.device_count() if cluster is None else cluster.num_gpus
    if wanted == "all":
        return there
    if device.type == "cuda" and wanted > there:
        where = "torch sees here" if cluster is None else "the Ray cluster has"
        raise UsageError(
            f"training.engine.devices={wanted}: {where} {there} graphics cards; set training.engine.devices=all"
        )
    return wanted


@contextlib.contextmanager
def training_threads(device: torch.device, config: TrainingConfig, num_processes: int = 1) -> Iterator[int]:
    """Threads, and on a processor deterministic algorithms, for as long as a block runs; random state comes back.

    Yields:
        The number of threads; as many of all as each of several processes gets, where the config leaves it open.
    """
    num_threads = config.epoch_config.num_threads or max(1, default_threads() // num_processes)
    cards: list[Any] = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cards), contextlib.ExitStack() as stack:
        if device.type == "cpu":
            stack.enter_context(reproducible(num_threads))
        yield num_threads
