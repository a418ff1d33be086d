"""How a head, or a network with its head, is trained."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tilewise.training.learning.config import (
    LossConfig,
    MixConfig,
    OptimizerConfig,
    SamplingConfig,
    ScheduleConfig,
    StepConfig,
)


class TrainingConfig(BaseModel):
    """What is minimised, how, and when it stops.

    The defaults - AdamW on class-weighted cross-entropy, a cosine schedule, early stopping on select - suit cohorts of
    tens to hundreds of slides and features of any length: nothing in them has to be adapted to either.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    loss: LossConfig = Field(default_factory=LossConfig)
    optimizer: OptimizerConfig = Field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = Field(default_factory=ScheduleConfig)
    mixup: MixConfig = Field(default_factory=MixConfig)
    sampling: SamplingConfig = Field(default_factory=SamplingConfig)
    step: StepConfig = Field(default_factory=StepConfig)
    weight: Literal["slide", "tile"] = Field(
        "slide", description="slide: every slide counts the same, however many tiles it has. tile: every tile does."
    )
    epochs: int = Field(60, ge=1, le=100_000, description="Passes over the train part; the schedule is over them.")
    batch_size: int | None = Field(
        None, ge=2, description="Tiles per step; left out: an eighth of the tiles, at least 32 and at most 2048."
    )
    learning_rate: float = Field(
        0.05,
        gt=0.0,
        le=10.0,
        description=(
            "Rate at the start; that of a weight matrix is divided by the square root of the number of its inputs, so "
            "that one rate suits features of any length."
        ),
    )
    weight_decay: float = Field(
        0.05, ge=0.0, le=100.0, description="A weight shrinks by learning_rate * weight_decay each step (adamw)."
    )
    select_metric: Literal["loss", "macro_f1"] = Field(
        "loss", description="The best epoch has the least loss, or the highest macro F1, over the slides of select."
    )
    patience: int | None = Field(
        20, ge=1, description="Epochs without a better one before training stops; null: never. The best is kept anyway."
    )
    num_threads: int = Field(
        1, ge=1, le=256, description="Threads of training. Part of the recipe, because the last bits depend on it."
    )
