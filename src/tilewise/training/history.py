"""What happened in each epoch, and which one was kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tilewise.trainer.table import write_table
from tilewise.training.config import TrainingConfig
from tilewise.training.data import PartData

HISTORY_NAME = "history.csv"
# What a program that draws curves is told of an epoch.
SCALARS = ("train_loss", "validation_loss", "validation_score", "learning_rate")


@dataclass(frozen=True)
class EpochRow:
    """One epoch. `select_...` are over slides and None where there is no validation part.

    Attributes:
        epoch: from 1.
        train_loss: mean weighted cross-entropy over the tiles, or over slides with attention, as they were met.
        validation_loss: class-weighted negative log of the slide probability of the true class.
        validation_score: over the slides of validation, by the recipe's `evaluation.metric`; None where it is not
            defined.
        learning_rate: at the start of the epoch.
        is_kept: whether the model is that of this epoch.
    """

    epoch: int
    train_loss: float
    validation_loss: float | None
    validation_score: float | None
    learning_rate: float
    is_kept: bool = field(default=False, metadata={"column": "kept"})


@dataclass(frozen=True)
class History:
    """All epochs, and what is to be said about them."""

    rows: tuple[EpochRow, ...]
    notes: tuple[str, ...]

    @property
    def kept_epoch(self) -> int:
        """The epoch whose weights the model has, from 1."""
        return next(row.epoch for row in self.rows if row.is_kept)

    def write(self, path: Path) -> None:
        """Write `history.csv`; None is an empty cell, `kept` is 0 or 1."""
        write_table(path, EpochRow, self.rows)


def notes(
    rows: Sequence[EpochRow], config: TrainingConfig, classes: Sequence[str], train: PartData, validation: PartData
) -> tuple[str, ...]:
    """What is to be said about a training that is over."""
    if not validation.num_slides:
        return (f"no validation part: trained for all {len(rows)} epochs, and the last one is kept",)
    missing = [classes[index] for index in np.setdiff1d(validation.labels_S, train.labels_S)]
    messages = [f"class {name} is in validation but not in train: it cannot be learnt" for name in missing]
    by = config.select_by
    if by == "metric" and rows[0].validation_score is None:
        by = "loss"
        messages.append("the metric is not defined on the validation part: the epoch with the least loss is kept")
    if len(rows) < config.epoch_config.epochs:
        messages.append(
            f"stopped after epoch {len(rows)}: {config.epoch_config.patience} epochs without a better "
            f"validation_{'score' if by == 'metric' else by}"
        )
    return tuple(messages)
