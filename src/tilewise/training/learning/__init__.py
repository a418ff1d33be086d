"""Pieces of training: losses, optimisers, schedules, averaged weights, sampling, mixing, states of a stopped run.

Everything here works on tensors and knows nothing of files of slides, parts of folds or encoders. Names are imported
when they are first used, so that a recipe can know the configs without importing torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tilewise.training.learning.checkpoint import Checkpoint, digest_tensors, read_about
    from tilewise.training.learning.config import (
        LossConfig,
        MixConfig,
        OptimizerConfig,
        SamplingConfig,
        ScheduleConfig,
        StepConfig,
    )
    from tilewise.training.learning.ema import Ema
    from tilewise.training.learning.losses import Loss, balance, build_loss, hard_targets, penalty
    from tilewise.training.learning.mixing import Mix, Mixer
    from tilewise.training.learning.optimizers import Ranger, build_optimizer
    from tilewise.training.learning.sampling import Sampler
    from tilewise.training.learning.schedules import Schedule, build_schedule
    from tilewise.training.learning.seeds import seeded

__all__ = [
    "Checkpoint",
    "Ema",
    "Loss",
    "LossConfig",
    "Mix",
    "MixConfig",
    "Mixer",
    "OptimizerConfig",
    "Ranger",
    "Sampler",
    "SamplingConfig",
    "Schedule",
    "ScheduleConfig",
    "StepConfig",
    "balance",
    "build_loss",
    "build_optimizer",
    "build_schedule",
    "digest_tensors",
    "hard_targets",
    "penalty",
    "read_about",
    "seeded",
]

_HOMES = {
    "Checkpoint": "checkpoint",
    "Ema": "ema",
    "Loss": "losses",
    "LossConfig": "config",
    "Mix": "mixing",
    "MixConfig": "config",
    "Mixer": "mixing",
    "OptimizerConfig": "config",
    "Ranger": "optimizers",
    "Sampler": "sampling",
    "SamplingConfig": "config",
    "Schedule": "schedules",
    "ScheduleConfig": "config",
    "StepConfig": "config",
    "balance": "losses",
    "build_loss": "losses",
    "build_optimizer": "optimizers",
    "build_schedule": "schedules",
    "digest_tensors": "checkpoint",
    "hard_targets": "losses",
    "penalty": "losses",
    "read_about": "checkpoint",
    "seeded": "seeds",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tilewise.training.learning' has no attribute {name!r}")
    return getattr(import_module(f"tilewise.training.learning.{_HOMES[name]}"), name)
