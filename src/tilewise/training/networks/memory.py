"""How the batches of a training fit a budget of memory: in parts, or by computing activations twice."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from tilewise.compute import return_freed_memory
from tilewise.models.networks import TileBatch, TileNetwork
from tilewise.models.networks.trained import normalises_by_batch, num_trained_blocks
from tilewise.training.networks.engine import Engine
from tilewise.training_config.training import TrainingConfig

_log = logging.getLogger(__name__)

_GIB = 1 << 30
# Python, torch and libraries; and, of an input batch, tiles of the next ones, as bytes and as numbers.
_PROCESS, _COPIES_OF_BATCH = 0.7 * _GIB, 6
# Of each weight: itself and the best epoch's; of a trained one: gradient, two averages of the optimiser, one at work.
_BYTES_OF_WEIGHT, _MORE_OF_TRAINED = 8, 16
# Gradients of activations, and what operations need for themselves, beside the activations that are kept.
_WORK = 1.3


@dataclass(frozen=True)
class MemoryPlan:
    """How a batch is computed.

    Attributes:
        num_parts: parts of a batch that are computed one after the other, their gradients added up.
        num_chunks: above 1, activations are dropped and computed again, see `recompute_activations`.
    """

    num_parts: int = 1
    num_chunks: int = 1


def plan_memory(
    engine: Engine, config: TrainingConfig, batch: TileBatch, batch_size: int, least_size: int
) -> MemoryPlan:
    """Choose by what two and three tiles keep for their gradients; the same network and config give the same plan.

    Parts come first, since they cost no time. They make the same step as the whole batch only where nothing looks
    across the tiles of a batch: BatchNorm that is trained normalises by them, and mixed features mix them. Activations
    are computed twice there, which takes about a third more time.

    Args:
        engine: with the network as it is trained.
        config: budget and how tiles are mixed.
        batch: three tiles.
        batch_size: tiles of the largest batch.
        least_size: tiles of the smallest batch.
    """
    budget = config.engine.memory_gib
    if budget is None:
        return MemoryPlan()
    network = engine.network
    with _as_trained_at_last(network, config):
        few, more = engine.saved_bytes(batch.rows(slice(0, 2))), engine.saved_bytes(batch)
        fixed = (
            _bytes_of_weights(network)
            + sum(map(_bytes_of, _tensors(batch))) // len(batch) * batch_size * _COPIES_OF_BATCH
        )
        looks_across = config.mixup.level == "features" or normalises_by_batch(network)
    per_tile = _WORK * (more - few) / (len(batch) - 2)
    room = budget * _GIB - _PROCESS - fixed - config.engine.tile_megabytes * 1e6
    if per_tile * batch_size <= room:
        return MemoryPlan()
    if looks_across:
        _log.info("activations are computed twice, to stay within training.engine.memory_gib=%g", budget)
        return_freed_memory()
        # Half of the room is for what takes the batch whole.
        return MemoryPlan(num_chunks=_num_pieces(batch_size, room / 2, per_tile))
    num_parts = min(_num_pieces(batch_size, room, per_tile), least_size)
    _log.info("batches are computed in %d parts, to stay within training.engine.memory_gib=%g", num_parts, budget)
    return MemoryPlan(num_parts)


def _num_pieces(batch_size: int, room: float, per_tile: float) -> int:
    """Pieces of a batch that fit; of one tile where not even that does."""
    return max(2, math.ceil(batch_size / max(1, int(room // per_tile))))


def recompute_activations(network: TileNetwork, num_chunks: int) -> None:
    """Let what lies within an encoder be dropped, and computed again for the gradients (Chen et al. 2016).

    An encoder that looks at each tile alone takes the batch in chunks; one with BatchNorm that is trained takes it
    whole, and drops what lies within its blocks. Running statistics take a batch in once, not again in the second
    computation.
    """
    network.num_chunks = num_chunks
    for module in network.modules():
        checkpoints: Any = getattr(module, "set_grad_checkpointing", None)
        if checkpoints is not None and normalises_by_batch(module):
            checkpoints(True)
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats:  # noqa: SLF001
            module.register_forward_pre_hook(partial(_count_once, module.momentum))


def _count_once(momentum: float | None, module: Any, _: Any) -> None:
    # Inside a backward pass it is the second time, which must save the same tensors and change none.
    is_second = torch._C._current_graph_task_id() != -1  # noqa: SLF001
    module.momentum = 0.0 if is_second else momentum
    if is_second and module.training and module.num_batches_tracked is not None:
        module.num_batches_tracked.sub_(1)


class _as_trained_at_last:  # noqa: N801 - reads as a block
    """The network with as much trained as in the last epoch, for as long as a block runs."""

    def __init__(self, network: TileNetwork, config: TrainingConfig) -> None:
        self._network, last = network, config.epoch_config.epochs - 1
        self._last = num_trained_blocks(network.config, last, network.num_blocks)

    def __enter__(self) -> None:
        self._network.set_trained(self._last)

    def __exit__(self, *_: object) -> None:
        self._network.start_epoch(0)


def _bytes_of_weights(network: nn.Module) -> int:
    numbers = [(parameter.numel(), parameter.requires_grad) for parameter in network.parameters()]
    return sum(num * (_BYTES_OF_WEIGHT + (_MORE_OF_TRAINED if is_trained else 0)) for num, is_trained in numbers)


def _tensors(batch: TileBatch) -> Iterator[Tensor]:
    yield from (one for one in (batch.images_BSCHW, batch.masks_BHW, batch.wides_BCHW) if one is not None)


def _bytes_of(tensor: Tensor) -> int:
    return tensor.numel() * 4  # as numbers, whatever it is now
