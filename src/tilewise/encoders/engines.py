"""Engines: what runs a network over tiles. Each is called with batches of one shape and gives float32 features."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from tilewise.encoders.card import EncoderCard
from tilewise.encoders.folding import fold_batch_norms
from tilewise.encoders.plan import Plan
from tilewise.encoders.preprocess import Tiles, batches, normalisation

Features = npt.NDArray[np.float32]


class EngineRun(Protocol):
    """A network made ready to run."""

    def encode(self, tiles_NHWC: Tiles) -> Features:
        """Tiles of any size to features (N, dim)."""


def build_engine(network: nn.Module, card: EncoderCard, plan: Plan) -> EngineRun:
    """Make a network ready to run as the plan says; it takes over the network, which must not be used elsewhere."""
    if plan.engine == "openvino":
        from tilewise.encoders.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(network, card, plan)
    return TorchEngine(network, card, plan)


class TorchEngine:
    """torch in inference mode, with channels last, BatchNorms folded and, where the plan says so, in bfloat16.

    Weights and activations are converted as a whole: there is no autocast, which would convert them in every call.
    """

    def __init__(self, network: nn.Module, card: EncoderCard, plan: Plan) -> None:
        self._card, self._plan = card, plan
        self._dtype = torch.bfloat16 if plan.precision == "bfloat16" else torch.float32
        self._device = torch.device(plan.device)
        converted: Any = network.eval().requires_grad_(requires_grad=False)
        fold_batch_norms(converted, card.input_px)
        self._network: nn.Module = converted.to(
            device=self._device, dtype=self._dtype, memory_format=torch.channels_last
        )
        mean, std = normalisation(card)
        self._mean = torch.from_numpy(mean).view(1, 3, 1, 1).to(self._device)
        self._scale = torch.from_numpy(1 / std).view(1, 3, 1, 1).to(self._device)

    def encode(self, tiles_NHWC: Tiles) -> Features:
        """Tiles of any size to features (N, dim)."""
        features_ND = np.empty((len(tiles_NHWC), self._card.dim), np.float32)
        with torch.inference_mode(), _threads(self._plan.threads), _same_algorithms(self._plan.device):
            for rows, batch in batches(tiles_NHWC, self._card.input_px, self._plan.batch_size):
                out = self._network(self._normalise(batch))
                features_ND[rows] = out.float().cpu().numpy()[: rows.stop - rows.start]
        return features_ND

    def _normalise(self, batch: Tiles) -> torch.Tensor:
        # The axes are only renamed: NHWC bytes are what torch calls channels last.
        images = torch.from_numpy(batch).to(self._device).permute(0, 3, 1, 2)
        return images.to(torch.float32).sub_(self._mean).mul_(self._scale).to(self._dtype)


@contextmanager
def _threads(num_threads: int) -> Iterator[None]:
    """Torch's threads are the process's, so they are set for the call and put back."""
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _same_algorithms(device: str) -> AbstractContextManager[None]:
    """On a GPU, take the same algorithms every time; a processor does so anyway."""
    if device != "cuda":
        return nullcontext()
    flags: Any = torch.backends.cudnn.flags
    settings: AbstractContextManager[None] = flags(enabled=True, benchmark=False, deterministic=True)
    return settings
