"""A network as an encoder."""

from __future__ import annotations

import threading
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from tilewise.encoders.base import Build, rebuild
from tilewise.encoders.card import EncoderCard
from tilewise.encoders.engines import EngineRun, build_engine
from tilewise.encoders.plan import Plan
from tilewise.encoders.pooling import remove_unused
from tilewise.encoders.preprocess import check_tiles
from tilewise.store import digest_config

VERSION: Final = 1
"""Raised whenever the same tile and weights would give other numbers."""

# What of a card changes the features; licences and notes may be reworded without making features again.
_COMPUTED = ("builder", "architecture", "options", "conversion", "input_px", "mean", "std", "dim", "pooling")


class NetworkEncoder:
    """Resizes, normalises, runs the network in one engine, always with batches of one shape.

    The engine is made when the first tiles come: that takes seconds, and where all features are cached none come.

    Args:
        network: with its weights; it is taken over and changed.
        card: of the network.
        plan: how it is run.
        weights: what they are, for the signature.
        build: makes the same encoder in another process; engines cannot be pickled.
    """

    def __init__(
        self, network: nn.Module, card: EncoderCard, plan: Plan, *, weights: str, build: Build | None = None
    ) -> None:
        self.card = card
        self._build = build
        self.plan = plan
        self._weights = weights
        self._network: nn.Module | None = network
        self._engine: EngineRun | None = None
        self._making = threading.Lock()

    @property
    def signature(self) -> dict[str, Any]:
        """Everything that changes a byte of the output; see `Encoder`."""
        data = self.card.as_json()
        # Features of the last layer keep the signature that they have always had.
        staged = self.card.pooling == "stages"
        names = (*_COMPUTED, "stages") if staged else _COMPUTED
        return {
            "card": f"{self.card.name}{' stages' * staged} {digest_config({name: data[name] for name in names})[:12]}",
            "weights": self._weights,
            "code": VERSION,
            "engine": self.plan.engine,
            "library": self.plan.library,
            "device": self.plan.device,
            "instructions": self.plan.instructions,
            "precision": self.plan.precision,
            "threads": self.plan.threads,
            "batch_size": self.plan.batch_size,
        }

    @property
    def num_threads(self) -> int:
        """See `Encoder`."""
        return self.plan.threads

    def __reduce__(self) -> tuple[Any, ...]:
        if self._build is None:
            raise TypeError(f"encoder {self.card.name}: it was not made by build_encoder, and cannot be pickled")
        return rebuild, (self._build, self.signature)

    def encode(self, tiles_NHWC: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Features of shape (N, dim), row by row a function of the tile alone."""
        check_tiles(tiles_NHWC)
        return self._made_engine().encode(tiles_NHWC)

    def _made_engine(self) -> EngineRun:
        # The caller may be in inference mode.
        with self._making, torch.inference_mode(mode=False):
            if self._engine is None:
                assert self._network is not None
                if self.card.pooling == "stages":
                    remove_unused(self._network, self.card.input_px)
                self._engine = build_engine(self._network, self.card, self.plan)
                self._network = None
            return self._engine
