"""One small pretraining, and a process of its own that dies in the middle of its second epoch.

python -m tests.training.pretrain.killed OUT
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

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


def _main(out: str) -> None:
    from tilewise.training_loop import Trainer

    original, calls = Trainer._step, [0]

    def step(self: Any) -> None:
        calls[0] += 1
        if calls[0] == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        original(self)

    Trainer._step = step
    pretrain_encoder(task(), slides_of_task(), cnn(), out=Path(out))


if __name__ == "__main__":
    _main(*sys.argv[1:])
