"""A training on two processes, and a script of its own, without a main guard, that is killed in the middle of it.

python tests/training/networks/together_of.py OUT
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tests.training.networks.drawn import cnn, draw_data
from tilewise.models import HeadConfig
from tilewise.models.networks import NetworkModel, TileNetwork
from tilewise.training.augment import AugmentConfig
from tilewise.training.history import History
from tilewise.training.networks.train import train_network
from tilewise.training_config.training import TrainingConfig
from tilewise.training_loop import Record

# All that is made of a whole batch or follows from what the first process scores.
_EVERYTHING: dict[str, Any] = {
    "input": "tiles",
    "epochs": 4,
    "batch_size": 7,
    "learning_rate": 3e-3,
    "num_threads": 1,
    "patience": "never",
    "mixup": {"level": "tiles", "cutmix_alpha": 1.0},
    "schedule": {"kind": "plateau", "plateau_patience": 0, "warmup_epochs": 0.5},
    "loss": {"l2": 1e-3},
    "sampling": {"unit": "slide", "tiles_per_slide": 3, "balance": "class"},
    "step": {"ema_decay": 0.9, "clip_norm": 1.0, "accumulate": 2},
}


def network() -> TileNetwork:
    """The head alone in the first epoch, then two blocks, then four."""
    head = HeadConfig(kind="mlp", hidden_sizes=(8,), norm="layer")
    return cnn(head, trained="progressive", epochs_per_stage=1, blocks_per_stage=2)


def train(devices: int, folder: Path | None = None, *, seed: int = 3, **changes: Any) -> tuple[NetworkModel, History]:
    """A small training with all of that."""
    data, _, _ = draw_data(8, 4, num_tiles=3)
    config = TrainingConfig.model_validate(_EVERYTHING | {"engine": {"device": "cpu", "devices": devices}} | changes)
    augment = AugmentConfig(quarter_turn=0.5, color={"probability": 0.5})
    return train_network(network(), data, config, augment, seed=seed, record=Record("fold 7", folder, "these"))


if __name__ == "__main__" and len(sys.argv) == 2:
    out = Path(sys.argv[1])
    with (out / "ran.txt").open("a") as file:
        file.write("once\n")
    train(2, out / "fold", epochs=1000)
