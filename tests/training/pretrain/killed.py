"""One small pretraining, and one that dies in the middle of its second epoch."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tests.training.networks.drawn import cnn
from tests.training.pretrain.drawn import Tiles, draw_slides, simclr, training
from tilewise.training.pretrain.pretrain_encoder import PretrainTask, pretrain_encoder


def task(**changes: Any) -> PretrainTask:
    """Three slides of five tiles, two batches an epoch."""
    config = simclr(epochs=2, batch_size=8)
    return replace(PretrainTask("fold 1", ("s00", "s01", "s02"), config, training(), seed=3), **changes)


def slides_of_task() -> Tiles:
    """Those of the task, and two that must not be looked at."""
    made = draw_slides(5, num_tiles=5)
    made.forbidden = frozenset(("s03", "s04"))
    return made


def die(out: Path) -> None:
    """End this process by SIGKILL before the fourth step."""
    from tilewise.training_loop import Trainer

    original, calls = Trainer._step, [0]

    def step(self: Any) -> None:
        calls[0] += 1
        if calls[0] == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        original(self)

    Trainer._step = step
    torch.set_num_threads(1)
    pretrain_encoder(task(), slides_of_task(), cnn(), out=out)
