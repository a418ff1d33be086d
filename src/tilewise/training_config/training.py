"""How a head, or a network with its head, is trained."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tilewise.training_loop.config import (
    LossConfig,
    MixConfig,
    OptimizerConfig,
    SamplingConfig,
    ScheduleConfig,
    StepConfig,
)

Input = Literal["features", "tiles"]

_STEPS_PER_EPOCH, _SMALLEST_BATCH, _LARGEST_BATCH = 8, 32, 2048
_FEWEST_SLIDES, _MOST_SLIDES = 8, 64
_EPOCHS: dict[Input, int] = {"features": 60, "tiles": 30}
_LEARNING_RATE: dict[Input, float] = {"features": 0.05, "tiles": 3e-4}
_PATIENCE: dict[Input, int] = {"features": 20, "tiles": 10}
_PIXEL_BATCH = 32
_SHARE_OF_TILES = 1 / 8  # of a budget of memory


@dataclass(frozen=True)
class EpochConfig:
    """The numbers of a training, those that were left out filled in.

    Attributes:
        epochs: passes over the train part, at most.
        learning_rate: at the start.
        patience: epochs without a better one before training stops; None never stops.
        num_threads: of the processor; None takes as many as it has for us.
        batch_size: tiles per step, or slides where they are learnt from whole; None goes by their number.
    """

    epochs: int
    learning_rate: float
    patience: int | None
    num_threads: int | None
    batch_size: int | None

    def tiles_per_batch(self, num_tiles: int) -> int:
        """Tiles of a batch, at most."""
        return self.batch_size or min(max(math.ceil(num_tiles / _STEPS_PER_EPOCH), _SMALLEST_BATCH), _LARGEST_BATCH)

    def num_batches(self, num_tiles: int) -> int:
        """Batches per epoch, as even as can be; none has a single tile, of which BatchNorm could make nothing."""
        return _num_batches(num_tiles, self.tiles_per_batch(num_tiles))

    def slides_per_batch(self, num_slides: int) -> int:
        """Slides of a batch, at most, where a batch is of whole slides."""
        return self.batch_size or min(max(math.ceil(num_slides / _STEPS_PER_EPOCH), _FEWEST_SLIDES), _MOST_SLIDES)

    def num_slide_batches(self, num_slides: int) -> int:
        """Batches per epoch, where a batch is of whole slides; as even as can be, and none has a single slide."""
        return _num_batches(num_slides, self.slides_per_batch(num_slides))


def _num_batches(num: int, per_batch: int) -> int:
    return max(1, min(math.ceil(num / per_batch), num // 2))


class EngineConfig(BaseModel):
    """Where a network on pixels computes, and what is kept beside it; of `training.input: tiles`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where the network computes. auto: on a graphics card where there is one."
    )
    devices: Annotated[int, Field(ge=1, le=1024)] | Literal["all"] = Field(
        1,
        description="How many train one network together, each on its share of every batch. all: every graphics card; "
        "on a processor one. A number: so many graphics cards, or processes on a processor. The steps are those of one "
        "device, but for rounding, for dropout, and for BatchNorm, which sees the tiles of its own share.",
    )
    cache_megabytes: int = Field(
        2000,
        ge=0,
        le=10_000_000,
        description="Decoded tiles that are kept in memory; those of further slides lie in the cache folder. Random "
        "views that are drawn anew take as much again, and lie in the fold's folder beyond it.",
    )
    memory_gib: float | None = Field(
        None,
        ge=1.0,
        le=10_000.0,
        description="What training may take at once: weights, decoded tiles (an eighth of it) and what a batch keeps "
        "for its gradients. A batch that keeps more is computed in parts, whose gradients add up to the same step; "
        "where tiles are looked at together (BatchNorm that is trained, mixed features), whole, with activations "
        "computed twice. Either way steps are those without a budget, but for rounding, and dropout of parts. Left "
        "out: as much as a batch takes. Models of finished folds come on top.",
    )
    channels_last: bool = Field(
        False,
        description="Channels of a pixel lie together: mostly faster for convolutions, on a graphics card above all.",
    )
    compile: bool = Field(
        False,
        description="Compile the network first (torch.compile), which takes a minute; needs a C++ compiler, on a "
        "graphics card Triton.",
    )
    log: Literal["none", "tensorboard", "mlflow"] = Field(
        "none",
        description="Where the history is also written, in the fold's folder. tensorboard: into `tensorboard/`. "
        "mlflow: into `mlflow/`, a store of files that MLflow's own server shows once MLFLOW_ALLOW_FILE_STORE=true is "
        "set (needs the extra `mlflow`; nothing is sent anywhere).",
    )

    @model_validator(mode="after")
    def _alone_where_it_has_to_be(self) -> Self:
        if self.compile and self.devices != 1:
            raise ValueError("engine.compile is for one device; set training.engine.devices=1, or drop it")
        if self.memory_gib is not None and (self.devices != 1 or self.compile):
            raise ValueError(
                "engine.memory_gib is for one device and a network that is not compiled; set training.engine.devices=1 "
                "and training.engine.compile=false, or drop it"
            )
        return self

    @property
    def tile_megabytes(self) -> float:
        """Decoded tiles that are kept in memory, in units of 10^6 bytes."""
        most = _SHARE_OF_TILES * 1000.0 * (self.memory_gib or math.inf)
        return min(float(self.cache_megabytes), most)


class BagConfig(BaseModel):
    """Which of a slide's tiles a step sees, where a sample is a whole slide; validation and prediction see all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tile_dropout: float = Field(
        0.0, ge=0.0, lt=1.0, description="Share of the tiles of each slide that is left out, drawn anew for each step."
    )
    max_tiles: int | None = Field(
        None,
        ge=1,
        description="Tiles of a slide at most, drawn anew for each step; left out: all.",
    )


class TrainingConfig(BaseModel):
    """What is trained, what is minimised, how, and when it stops.

    The defaults - AdamW on class-weighted cross-entropy, a cosine schedule, early stopping on validation - suit
    cohorts of tens to hundreds of slides and features of any length: nothing in them has to be adapted to either. An
    option that would have no effect is refused: with head.kind=lda or logistic, all but `loss.class_weights`,
    `select_by` and `num_threads`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: Input = Field(
        "features",
        description="features: a head learns from features that the encoder makes once, and nothing else is trained. "
        "tiles: a network learns from the tiles, as `network` says.",
    )
    loss: LossConfig = Field(default_factory=LossConfig)
    optimizer: OptimizerConfig = Field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = Field(default_factory=ScheduleConfig)
    mixup: MixConfig = Field(default_factory=MixConfig)
    sampling: SamplingConfig = Field(default_factory=SamplingConfig)
    step: StepConfig = Field(default_factory=StepConfig)
    engine: EngineConfig = Field(default_factory=EngineConfig)
    bags: BagConfig = Field(default_factory=BagConfig)
    weight: Literal["slide", "tile"] = Field(
        "slide", description="slide: every slide counts the same, however many tiles it has. tile: every tile does."
    )
    epochs: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="Passes over the train part; the schedule is over them. Left out: 60 on features, 30 on tiles.",
    )
    num_seeds: int = Field(
        1,
        ge=1,
        le=1000,
        description="Heads that each fold trains, with initial weights and orders of their own; the fold's model is "
        "the mean of their probabilities. Of input features, and of heads that learn in epochs.",
    )
    batch_size: int | None = Field(
        None,
        ge=2,
        description="Tiles per batch, at most. Left out: on features an eighth of the tiles, at least 32 and at most "
        "2048; on tiles 32. With one vector per slide (head.aggregate) slides count: an eighth of them, at "
        "least 8, at most 64.",
    )
    learning_rate: float | None = Field(
        None,
        gt=0.0,
        le=10.0,
        description="Rate at the start. Input features that of a weight matrix is divided by the square root of the "
        "number of its inputs, so that one rate suits features of any length; on tiles it is that of the head. Left "
        "out: 0.05 on features, 0.0003 on tiles.",
    )
    weight_decay: float = Field(
        0.05,
        ge=0.0,
        le=100.0,
        description="A weight shrinks by learning_rate * weight_decay each step (adamw); biases and norms do not.",
    )
    select_by: Literal["loss", "metric"] = Field(
        "loss",
        description="The best epoch has the least loss over the slides of validation, or the highest score, by "
        "evaluation.metric. Where that is not defined on them, the loss decides. With head.kind=logistic the penalty "
        "is chosen so, over inner folds of the train part.",
    )
    patience: Annotated[int, Field(ge=1, le=100_000)] | Literal["never"] | None = Field(
        None,
        description="Epochs without a better one before training stops; never: it does not stop. The best is kept "
        "anyway. Left out: 20 on features, 10 on tiles.",
    )
    num_threads: int | None = Field(
        None,
        ge=1,
        le=256,
        description="Threads of training. Part of the recipe, because the last bits depend on it. Left out: 1 on "
        "features, on tiles as many as the processor has for us.",
    )

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        """Only what was set: the whole fills a page."""
        return ((name, value) for name, value in self if name in self.model_fields_set)

    @property
    def epoch_config(self) -> EpochConfig:
        """Its numbers, those that were left out filled in."""
        return EpochConfig(
            epochs=self.epochs or _EPOCHS[self.input],
            learning_rate=self.learning_rate or _LEARNING_RATE[self.input],
            patience=None if self.patience == "never" else self.patience or _PATIENCE[self.input],
            num_threads=self.num_threads or (1 if self.input == "features" else None),
            batch_size=self.batch_size or (_PIXEL_BATCH if self.input == "tiles" else None),
        )

    @model_validator(mode="after")
    def _nothing_without_effect(self) -> Self:
        if self.input == "features":
            idle = self._of_pixels()
            if idle:
                raise ValueError(
                    f"training.{idle[0]} has no effect with training.input=features; set training.input=tiles or drop "
                    f"it"
                )
        elif self.num_seeds > 1:
            raise ValueError(
                "training.num_seeds averages heads on features, and training.input=tiles trains networks; drop it, and "
                "average runs of several --seed by `tilewise ensemble`"
            )
        elif self.step.precision == "float16" and self.engine.device == "cpu":
            raise ValueError(
                "training.step.precision=float16 needs a graphics card, and training.engine.device=cpu forbids it; "
                "set bfloat16 on a processor"
            )
        if self.engine.devices != 1 and self.mixup.level == "features":
            raise ValueError(
                "training.mixup.level=features mixes what the encoder gives for a whole batch, which "
                "training.engine.devices parts; set training.mixup.level=tiles, or training.engine.devices=1"
            )
        return self

    def _of_pixels(self) -> list[str]:
        """Keys that were set and mean nothing to a head on features."""
        changed = [name for name in EngineConfig.model_fields if getattr(self.engine, name) != _engine_default(name)]
        keys = [f"engine.{name}" for name in changed]
        keys += ["mixup.level=tiles"] * (self.mixup.level == "tiles")
        keys += [f"step.precision={self.step.precision}"] * (self.step.precision != "float32")
        return keys


def _engine_default(name: str) -> object:
    return EngineConfig.model_fields[name].default
