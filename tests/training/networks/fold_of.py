"""One small fold on pixels, and a training of it that dies in the middle."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tests.inference.cut import cut
from tilewise.encoders import EncoderConfig
from tilewise.folds import Fold
from tilewise.inference.slide_tiles import InputSpec
from tilewise.inference.tilestore import TileStore
from tilewise.models import HeadConfig
from tilewise.models.networks import NetworkConfig
from tilewise.training.augment import AugmentConfig
from tilewise.training.fold_request import FoldRequest
from tilewise.training_config.training import TrainingConfig

NAMES = [f"img_{number:04d}.png" for number in range(10)]
TRAINING: dict[str, Any] = {
    "input": "tiles",
    "epochs": 4,
    "batch_size": 8,
    "learning_rate": 3e-3,
    "num_threads": 1,
    "mixup": {"level": "tiles"},
    "step": {"ema_decay": 0.9},
    "engine": {"device": "cpu"},
}
STEPS_PER_EPOCH = 6  # 6 slides of 8 tiles


def store_of(cohort: Path, cache_megabytes: float = 100.0) -> TileStore:
    """The tiles of the drawn cohort in a folder."""
    return cut(cohort).store(cache_megabytes, InputSpec(masks=True))


def task(**training: Any) -> FoldRequest:
    """Six slides to train, two to validation, two to test; a network that takes the mask."""
    return FoldRequest(
        number=1,
        fold=Fold(train=tuple(NAMES[:6]), validation=tuple(NAMES[6:8]), test=tuple(NAMES[8:])),
        labels={name: "AB"[number % 2] for number, name in enumerate(NAMES)},
        classes=("A", "B"),
        network=NetworkConfig(input="mask_channel", trained="all", input_px=32),
        encoder=EncoderConfig(name="simple_cnn", init="random"),
        head=HeadConfig(dropout=0.2),
        training=TrainingConfig.model_validate(TRAINING | training),
        augment=AugmentConfig(horizontal_flip=0.5, quarter_turn=0.5),
        seed=3,
    )


def changed(**changes: Any) -> FoldRequest:
    """The task with other fields."""
    return replace(task(), **changes)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_before(owner: Any, name: str, number: int) -> None:
    original, calls = getattr(owner, name), [0]

    def call(*args: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] == number:
            _die()
        return original(*args, **options)

    setattr(owner, name, call)


def die(cohort: Path, out: Path, where: str, number: int) -> None:
    """End this process by SIGKILL before the step of this number, or between the two files of such an epoch."""
    from tilewise.training.network_fold import train_network_fold
    from tilewise.training_loop import Checkpoint, Trainer

    # A state is written after the weights of the best epoch.
    owner, name = (Trainer, "_step") if where == "step" else (Checkpoint, "save")
    torch.set_num_threads(1)
    _die_before(owner, name, number)
    train_network_fold(task(), store_of(cohort), out=out)
