"""A training that was stopped goes on as if it had not been."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from tilewise.errors import ArtifactError
from tilewise.models.heads import SeededDropout
from tilewise.training_loop import (
    Checkpoint,
    Ema,
    Loss,
    LossConfig,
    OptimizerConfig,
    ScheduleConfig,
    build_optimizer,
    build_schedule,
    read_description,
    seeded,
)

KINDS = ("adamw", "adam", "sgd", "lion", "radam", "ranger")


class Training:
    """A small training with everything that has a state."""

    def __init__(self, kind: str, schedule: str = "plateau", units: int = 6) -> None:
        self.generator = seeded(0, 1)
        start = torch.random.get_rng_state()
        torch.manual_seed(0)
        self.module = nn.Sequential(
            nn.Linear(4, units), nn.BatchNorm1d(units), SeededDropout(0.3, self.generator), nn.Linear(units, 3)
        )
        torch.random.set_rng_state(start)
        groups = [{"params": list(layer.parameters()), "factor": 1 / (1 + i)} for i, layer in enumerate(self.module)]
        self.optimizer = build_optimizer(OptimizerConfig(kind=kind), groups, learning_rate=0.01)
        options = {"plateau_patience": 0} if schedule == "plateau" else {}
        self.schedule = build_schedule(
            ScheduleConfig(kind=schedule, warmup_epochs=0.5, **options),
            self.optimizer,
            learning_rate=0.01,
            num_epochs=8,
            steps_per_epoch=4,
        )
        self.ema = Ema(self.module, 0.9)

    @property
    def checkpoint(self) -> Checkpoint:
        return Checkpoint(self.module, self.optimizer, self.schedule, self.ema)

    def run(self, epochs: range) -> None:
        loss = Loss(LossConfig())
        for epoch in epochs:
            self.generator.manual_seed(epoch)  # as trainings do: what is drawn follows from the epoch
            for _ in range(4):
                x = torch.randn(16, 4, generator=self.generator)
                y = nn.functional.one_hot((x[:, 0] > 0) + (x[:, 1] > 0).long(), 3)
                self.schedule.begin_step()
                self.optimizer.zero_grad()
                torch.autograd.backward(loss(self.module(x), y))
                self.optimizer.step()
                self.ema.update(self.module)
            self.schedule.end_epoch(1.0 if epoch in (1, 4, 5) else 2.0)

    def state(self) -> list[torch.Tensor]:
        rates = torch.tensor([group["lr"] for group in self.optimizer.param_groups], dtype=torch.float64)
        return [*self.module.state_dict().values(), *self.ema.weights().values(), rates]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("schedule", ["plateau", "cosine"])
def test_saved_and_restored_goes_on_to_the_bit(kind: str, schedule: str, tmp_path: Path) -> None:
    whole, first, second = (Training(kind, schedule) for _ in range(3))
    whole.run(range(7))
    first.run(range(3))
    first.checkpoint.save(tmp_path / "state.safetensors", {"epoch": 3, "history": [[1, 0.5, None]]})
    second.run(range(1))  # whatever was before is replaced
    assert second.checkpoint.load(tmp_path / "state.safetensors") == {"epoch": 3, "history": [[1, 0.5, None]]}
    second.run(range(3, 7))
    assert all(torch.equal(a, b) for a, b in zip(whole.state(), second.state(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(whole.state(), first.state(), strict=True))


def test_what_is_told_can_be_read_alone_and_other_trainings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    training = Training("adamw")
    training.run(range(1))
    training.checkpoint.save(path, {"inputs": "abc"})
    assert read_description(path) == {"inputs": "abc"}
    other = Training("adamw", units=7)
    before = [tensor.clone() for tensor in other.state()]
    with pytest.raises(ArtifactError, match="the state of another training"):
        other.checkpoint.load(path)
    assert all(torch.equal(a, b) for a, b in zip(before, other.state(), strict=True))
    with pytest.raises(ArtifactError, match="another training"):
        Checkpoint(training.module, training.optimizer, training.schedule).load(path)
    with pytest.raises(ArtifactError, match="another training"):
        Training("lion").checkpoint.load(path)


def test_a_file_that_is_missing_damaged_or_foreign_is_named(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    checkpoint = Training("sgd").checkpoint
    with pytest.raises(ArtifactError, match=r"state\.safetensors is missing"):
        checkpoint.load(path)
    checkpoint.save(path, {})
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ArtifactError, match="is damaged"):
        checkpoint.load(path)
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(ArtifactError, match="is damaged"):
        read_description(path)
