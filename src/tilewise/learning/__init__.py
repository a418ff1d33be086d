"""Training: the loop, losses, optimisers, schedules, averaged weights, sampling, mixing, state of a stopped run.

Everything here works on tensors and knows nothing of files of slides, parts of folds or encoders. Names are imported
when they are first used, so that a recipe can know the configs without importing torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tilewise.learning.checkpoint import Checkpoint, digest_tensors, read_about
    from tilewise.learning.config import (
        LossConfig,
        MixConfig,
        OptimizerConfig,
        SamplingConfig,
        ScheduleConfig,
        StepConfig,
    )
    from tilewise.learning.ema import Ema
    from tilewise.learning.loop import EpochTotals, Objective, Trainer
    from tilewise.learning.losses import Loss, balance, build_loss, class_weights, hard_targets, penalty
    from tilewise.learning.mixing import Mix, Mixer
    from tilewise.learning.optimizers import Ranger, build_optimizer
    from tilewise.learning.progress import Best, Log, Progress, Record, remove_state
    from tilewise.learning.sampling import Sampler
    from tilewise.learning.schedules import Schedule, build_schedule
    from tilewise.learning.seeds import seeded
    from tilewise.learning.table import write_table

__all__ = [
    "Best",
    "Checkpoint",
    "Ema",
    "EpochTotals",
    "Log",
    "Loss",
    "LossConfig",
    "Mix",
    "MixConfig",
    "Mixer",
    "Objective",
    "OptimizerConfig",
    "Progress",
    "Ranger",
    "Record",
    "Sampler",
    "SamplingConfig",
    "Schedule",
    "ScheduleConfig",
    "StepConfig",
    "Trainer",
    "balance",
    "build_loss",
    "build_optimizer",
    "build_schedule",
    "class_weights",
    "digest_tensors",
    "hard_targets",
    "penalty",
    "read_about",
    "remove_state",
    "seeded",
    "write_table",
]

_HOMES = {
    "Best": "progress",
    "Checkpoint": "checkpoint",
    "Ema": "ema",
    "EpochTotals": "loop",
    "Log": "progress",
    "Loss": "losses",
    "LossConfig": "config",
    "Mix": "mixing",
    "MixConfig": "config",
    "Mixer": "mixing",
    "Objective": "loop",
    "OptimizerConfig": "config",
    "Progress": "progress",
    "Ranger": "optimizers",
    "Record": "progress",
    "Sampler": "sampling",
    "SamplingConfig": "config",
    "Schedule": "schedules",
    "ScheduleConfig": "config",
    "StepConfig": "config",
    "Trainer": "loop",
    "balance": "losses",
    "build_loss": "losses",
    "build_optimizer": "optimizers",
    "build_schedule": "schedules",
    "class_weights": "losses",
    "digest_tensors": "checkpoint",
    "hard_targets": "losses",
    "penalty": "losses",
    "read_about": "checkpoint",
    "remove_state": "progress",
    "seeded": "seeds",
    "write_table": "table",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tilewise.learning' has no attribute {name!r}")
    return getattr(import_module(f"tilewise.learning.{_HOMES[name]}"), name)
