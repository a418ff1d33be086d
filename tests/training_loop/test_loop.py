"""When training stops, which epoch is kept, and that a stopped training goes on to the bit."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tilewise.errors import TrainingError
from tilewise.training_loop import (
    EpochTotals,
    OptimizerConfig,
    Record,
    ScheduleConfig,
    Trainer,
    TrainingProgress,
    build_optimizer,
    build_schedule,
)


@dataclass(frozen=True)
class Row:
    epoch: int
    loss: float
    is_kept: bool = field(default=False, metadata={"column": "kept"})


class Line:
    """Fits y = 2 x on four batches of two; validation losses are given."""

    loss_name, advice, num_batches = "loss", "look at these", 4

    def __init__(self, module: nn.Module, validation: list[float] | None, broken: bool = False) -> None:
        self.module, self.validation, self.broken = module, validation, broken

    def batches(self, epoch: int) -> Generator[tuple[Tensor, Tensor]]:
        order = torch.randperm(8, generator=torch.Generator().manual_seed(epoch))
        for samples in order.tensor_split(4):
            yield samples, samples.float()[:, None] / 8

    def losses(self, batch: Tensor) -> tuple[Tensor, ...]:
        loss = (self.module(batch) - 2 * batch).square().mean()
        return (loss * torch.nan if self.broken else loss,)

    def name_slides(self, samples: Tensor) -> str:
        return f"of {len(samples)}"

    def score(self, epoch: int, totals: EpochTotals, learning_rate: float) -> tuple[Row, float | None]:
        assert totals.num_samples == 8
        return Row(epoch + 1, totals.means[0]), None if self.validation is None else self.validation[epoch]


def trained(
    validation: list[float] | None = None, record: Record | None = None, *, epochs: int = 4, patience: int | None = None
) -> tuple[TrainingProgress[Row], dict[str, Tensor]]:
    torch.manual_seed(0)
    module = nn.Linear(1, 1)
    groups = [{"params": list(module.parameters())}]
    optimizer = build_optimizer(OptimizerConfig(), groups, learning_rate=0.05)
    schedule = build_schedule(
        ScheduleConfig(kind="constant"), optimizer, learning_rate=0.05, num_epochs=epochs, steps_per_epoch=2
    )
    progress = TrainingProgress(Row, record or Record())
    objective = Line(module, validation)
    Trainer(objective, module, optimizer, schedule, epochs=epochs, patience=patience, accumulate=2).run(progress)
    return progress, module.state_dict()


def test_the_best_epoch_is_kept_and_patience_counts_from_it() -> None:
    progress, weights = trained([3.0, 1.0, 2.0, 2.0, 0.0], epochs=5, patience=2)
    assert [row.is_kept for row in progress.marked()] == [False, True, False, False]
    assert progress.best is not None
    assert not torch.equal(progress.best.weights["weight"], weights["weight"])
    assert trained([3.0, 1.0], epochs=2)[1]["weight"] == progress.best.weights["weight"]


def test_a_later_epoch_must_be_better_by_more_than_rounding() -> None:
    progress, _ = trained([1.0, 1.0 - 1e-12, 1.0, 1.0])
    assert progress.best is not None
    assert progress.best.epoch == 0


def test_without_validation_the_last_epoch_is_kept() -> None:
    progress, weights = trained()
    assert progress.best is not None
    assert (progress.best.epoch, progress.best.selection_loss) == (3, None)
    assert torch.equal(progress.best.weights["weight"], weights["weight"])
    assert progress.rows[-1].loss < progress.rows[0].loss


def test_it_goes_on_from_its_folder_and_from_no_other_inputs(tmp_path: Path) -> None:
    losses = [3.0, 1.0, 2.0, 2.0]
    whole, weights = trained(losses)
    trained(losses, Record("f", tmp_path, "a"), epochs=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "best-1.safetensors",
        "history.csv",
        "training.safetensors",
    ]
    again, resumed = trained(losses, Record("f", tmp_path, "a"))
    assert again.rows == whole.rows
    assert torch.equal(resumed["weight"], weights["weight"])
    other, _ = trained(losses[::-1], Record("f", tmp_path, "b"))
    assert [row.is_kept for row in other.marked()] == [False, False, True, False]


def test_a_loss_that_is_not_finite_names_epoch_step_rate_and_slides() -> None:
    module = nn.Linear(1, 1)
    optimizer = build_optimizer(OptimizerConfig(), [{"params": list(module.parameters())}], learning_rate=0.05)
    schedule = build_schedule(ScheduleConfig(), optimizer, learning_rate=0.05, num_epochs=2, steps_per_epoch=4)
    trainer = Trainer(Line(module, None, broken=True), module, optimizer, schedule, epochs=2)
    message = "f: the loss is nan at epoch 1, step 1, learning rate 0.05, slides of 2; look at these"
    with pytest.raises(TrainingError, match=message):
        trainer.run(TrainingProgress(Row, Record("f")))
