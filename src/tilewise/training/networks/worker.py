"""Processes that train one network together: each on its share of every batch, one of them at their head."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import nn

from tilewise.models.networks import TileNetwork
from tilewise.training.networks.batches import TrainingBatch

Joined = nn.parallel.DistributedDataParallel


class Worker:
    """One process among those that train a network together; alone unless said otherwise.

    Every process makes the whole of a batch, so that what is in it does not depend on their number, and learns from
    its own share. Gradients are averaged over processes (Li et al., PyTorch Distributed, VLDB 2020), so that each of
    them makes the step of the whole batch. BatchNorm alone sees less: each process normalises by its own share, and the
    first one's running statistics are kept.

    Args:
        rank: of this process, from 0.
        size: how many there are; torch's process group has to be open where it is above 1.
        device: where this process computes; the processor unless said otherwise.
    """

    def __init__(self, rank: int = 0, size: int = 1, device: torch.device | None = None) -> None:
        self._rank, self.size = rank, size
        self.device = device or torch.device("cpu")
        self._num_blocks = -1
        self.joined: Joined | None = None

    @property
    def is_first(self) -> bool:
        """Whether this process scores and writes."""
        return self._rank == 0

    @property
    def stream(self) -> tuple[int, ...]:
        """What sets this process's own random numbers apart; nothing for the first one."""
        return (self._rank,) if self._rank else ()

    def join(self, network: TileNetwork, num_blocks: int) -> None:
        """Average the gradients of a network over processes from now on.

        Args:
            network: the same in all processes.
            num_blocks: of its encoder that are trained; another number is joined anew.
        """
        if self.size == 1 or num_blocks == self._num_blocks:
            return
        self.joined = None  # its hooks on gradients go with it
        self.joined, self._num_blocks = Joined(network), num_blocks

    def share(self, prepared: TrainingBatch) -> TrainingBatch:
        """The part of a batch that this process learns from; its tiles count so that the mean of shares is the whole's.

        `tiles` still names all of the batch.
        """
        if self.size == 1:
            return prepared
        num = len(prepared.batch)
        own = torch.arange(num).tensor_split(self.size)[self._rank].to(prepared.targets_BC.device)
        return replace(
            prepared,
            batch=prepared.batch.rows(own),
            targets_BC=prepared.targets_BC[own],
            weights_B=prepared.weights_B[own] * (self.size * len(own) / num),
        )

    def mean(self, value: float) -> float:
        """Of a number over processes."""
        if self.size == 1:
            return value
        broadcast = torch.tensor(value, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(broadcast)
        return broadcast.item() / self.size

    def broadcast(self, values: tuple[float | None, float | None]) -> tuple[float | None, float | None]:
        """What the first process says, in all of them."""
        if self.size == 1:
            return values
        broadcast = torch.tensor(
            [math.nan if value is None else value for value in values], dtype=torch.float64, device=self.device
        )
        torch.distributed.broadcast(broadcast, src=0)
        first, second = (None if math.isnan(value) else value for value in broadcast.tolist())
        return first, second
