"""Training: the loop, losses, optimisers, schedules, averaged weights, sampling, mixing, state of a stopped run.

Everything here works on tensors and knows nothing of files of slides, parts of folds or encoders. Names are imported
when they are first used, so that a recipe can know the configs without importing torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tilewise.training_loop.checkpoint import Checkpoint, digest_tensors, read_description
    from tilewise.training_loop.config import (
        LossConfig,
        MixConfig,
        OptimizerConfig,
        SamplingConfig,
        ScheduleConfig,
        StepConfig,
    )
    from tilewise.training_loop.ema import Ema
    from tilewise.training_loop.loop import EpochTotals, Objective, Trainer
    from tilewise.training_loop.losses import (
        Loss,
        build_loss,
        class_weights,
        hard_targets,
        inverse_frequency_weights,
        penalty,
    )
    from tilewise.training_loop.mixing import Mix, Mixer
    from tilewise.training_loop.optimizers import Ranger, build_optimizer
    from tilewise.training_loop.sampling import Sampler
    from tilewise.training_loop.schedules import Schedule, build_schedule
    from tilewise.training_loop.seeds import seeded
    from tilewise.training_loop.table import write_table
    from tilewise.training_loop.training_progress import Best, Log, Record, TrainingProgress, remove_state

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
    "build_loss",
    "build_optimizer",
    "build_schedule",
    "class_weights",
    "digest_tensors",
    "hard_targets",
    "inverse_frequency_weights",
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
    "class_weights": "losses",
    "build_loss": "losses",
    "build_optimizer": "optimizers",
    "build_schedule": "schedules",
    "inverse_frequency_weights": "losses",
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
        raise AttributeError(f"module 'tilewise.training_loop' has no attribute {name!r}")
    return getattr(import_module(f"tilewise.training_loop.{_HOMES[name]}"), name)
