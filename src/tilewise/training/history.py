"""What happened in each epoch or fit, and which one was kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tilewise.training.data import PartData
from tilewise.training_config.training import TrainingConfig
from tilewise.training_loop.table import write_table

HISTORY_NAME = "history.csv"
STOPPED = "stopped after epoch"  # how the note of a training that ended early begins
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
class SeedRow(EpochRow):
    """One epoch of one of several trainings (`training.num_seeds`).

    Attributes:
        seed: number of the training, from 0.
    """

    seed: int = 0


@dataclass(frozen=True)
class FitRow:
    """One fit of a head that is fitted at once. Losses and scores are over slides, as in `EpochRow`.

    Attributes:
        logistic_c: inverse strength of the penalty, of kind logistic; None of lda.
        shrinkage: share of the covariance that is shrunk, of kind lda; None of logistic.
        temperature: what the logits are divided by, of kind lda; None of logistic.
        inner_loss: over the inner folds of the train part, each predicted by a fit without it; None where nothing is
            chosen by them.
        inner_score: likewise, by the recipe's `evaluation.metric`.
        train_loss: of the fit that was kept, on what it was fitted to.
        validation_loss: of a fit to the train part, on the validation part; None where there is none.
        validation_score: likewise.
        is_kept: whether the model is that of this fit.
    """

    logistic_c: float | None = None
    shrinkage: float | None = None
    temperature: float | None = None
    inner_loss: float | None = None
    inner_score: float | None = None
    train_loss: float | None = None
    validation_loss: float | None = None
    validation_score: float | None = None
    is_kept: bool = field(default=False, metadata={"column": "kept"})


@dataclass(frozen=True)
class History:
    """All epochs of a training, or all fits, and what is to be said about them.

    Attributes:
        rows: in order; one of them was kept, or one of each seed.
        notes: a sentence each.
        validation: slide -> probabilities of its classes by a model that has not learnt from the validation part,
            where the one that was kept has (`head.refit`); empty otherwise.
    """

    rows: tuple[EpochRow, ...] | tuple[FitRow, ...]
    notes: tuple[str, ...]
    validation: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def kept_epoch(self) -> int | None:
        """The epoch whose weights the model has, from 1, of several seeds the first one's; None without epochs."""
        row = next(row for row in self.rows if row.is_kept)
        return row.epoch if isinstance(row, EpochRow) else None

    @property
    def summary(self) -> dict[str, Any]:
        """What of it stands in a model's `origin`: plain data."""
        row = next(row for row in self.rows if row.is_kept)
        if isinstance(row, EpochRow):
            kept_epochs = [row.epoch for row in self.rows if row.is_kept and isinstance(row, EpochRow)]
            epochs = {"kept_epoch": row.epoch} if len(kept_epochs) == 1 else {"kept_epochs": kept_epochs}
            return {**epochs, "num_epochs": len(self.rows), "notes": list(self.notes)}
        choices = {name: getattr(row, name) for name in ("logistic_c", "shrinkage", "temperature")}
        return {**choices, "notes": list(self.notes)} | ({"validation": self.validation} if self.validation else {})

    def write(self, path: Path) -> None:
        """Write `history.csv`; None is an empty cell, `kept` is 0 or 1."""
        write_table(path, type(self.rows[0]), self.rows)


def unlearnt_classes(classes: Sequence[str], train: PartData, validation: PartData) -> list[str]:
    """That classes of the validation part are not in the train part, a sentence each."""
    missing = [classes[index] for index in np.setdiff1d(validation.labels_S, train.labels_S)]
    return [f"class {name} is in validation but not in train: it cannot be learnt" for name in missing]


def notes(
    rows: Sequence[EpochRow], config: TrainingConfig, classes: Sequence[str], train: PartData, validation: PartData
) -> tuple[str, ...]:
    """What is to be said about a training that is over."""
    if not validation.num_slides:
        return (f"no validation part: trained for all {len(rows)} epochs, and the last one is kept",)
    messages = unlearnt_classes(classes, train, validation)
    by = config.select_by
    if by == "metric" and rows[0].validation_score is None:
        by = "loss"
        messages.append("the metric is not defined on the validation part: the epoch with the least loss is kept")
    if len(rows) < config.epoch_config.epochs:
        messages.append(
            f"{STOPPED} {len(rows)}: {config.epoch_config.patience} epochs without a better "
            f"validation_{'score' if by == 'metric' else by}"
        )
    return tuple(messages)
