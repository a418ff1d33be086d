"""Training: the loop, losses, optimisers, schedules, averaged weights, sampling, mixing, state of a stopped run.

Everything here works on tensors and knows nothing of files of slides, parts of folds or encoders. Names are imported
when they are first used, so that a recipe can know the configs without importing torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tilewise.trainer.checkpoint import Checkpoint, digest_tensors, read_description
    from tilewise.trainer.config import (
        LossConfig,
        MixConfig,
        OptimizerConfig,
        SamplingConfig,
        ScheduleConfig,
        StepConfig,
    )
    from tilewise.trainer.ema import Ema
    from tilewise.trainer.loop import EpochTotals, Objective, Trainer
    from tilewise.trainer.losses import Loss, balance, build_loss, class_weights, hard_targets, penalty
    from tilewise.trainer.mixing import Mix, Mixer
    from tilewise.trainer.optimizers import Ranger, build_optimizer
    from tilewise.trainer.sampling import Sampler
    from tilewise.trainer.schedules import Schedule, build_schedule
    from tilewise.trainer.seeds import seeded
    from tilewise.trainer.table import write_table
    from tilewise.trainer.training_progress import Best, Log, Record, TrainingProgress, remove_state

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
    "Ranger",
    "Record",
    "Sampler",
    "SamplingConfig",
    "Schedule",
    "ScheduleConfig",
    "StepConfig",
    "Trainer",
    "TrainingProgress",
    "balance",
    "build_loss",
    "build_optimizer",
    "build_schedule",
    "class_weights",
    "digest_tensors",
    "hard_targets",
    "penalty",
    "read_description",
    "remove_state",
    "seeded",
    "write_table",
]

_HOMES = {
    "Best": "training_progress",
    "Checkpoint": "checkpoint",
    "Ema": "ema",
    "EpochTotals": "loop",
    "Log": "training_progress",
    "Loss": "losses",
    "LossConfig": "config",
    "Mix": "mixing",
    "MixConfig": "config",
    "Mixer": "mixing",
    "Objective": "loop",
    "OptimizerConfig": "config",
    "TrainingProgress": "training_progress",
    "Ranger": "optimizers",
    "Record": "training_progress",
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
    "read_description": "checkpoint",
    "remove_state": "training_progress",
    "seeded": "seeds",
    "write_table": "table",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tilewise.trainer' has no attribute {name!r}")
    return getattr(import_module(f"tilewise.trainer.{_HOMES[name]}"), name)
