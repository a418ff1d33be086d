"""Small trainings of what the packaged recipes train, the loss of every one of their steps, and epochs of one more.

    python -m tests.training.networks.golden_of

writes `golden/*.json` anew. Do so only where a rule of training was meant to change, and say which in the commit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.models.networks.made import small_card
from tests.training.networks.drawn import CLASSES, cnn, draw_data, draw_slide
from tilewise.encoders.networks import create_network
from tilewise.models import HeadConfig
from tilewise.models.networks import NetworkConfig, TileNetwork
from tilewise.training.augment import AugmentConfig
from tilewise.training.networks.data import PixelData, TilePart
from tilewise.training.networks.engine import Engine
from tilewise.training.networks.train import train_network
from tilewise.training_config.training import TrainingConfig

FOLDER = Path(__file__).with_name("golden")
EPOCHS = "epochs.json"
_FLIPS = {"horizontal_flip": 0.5, "vertical_flip": 0.5}


@dataclass(frozen=True)
class Case:
    """Sections of a recipe, and the family whose small member stands for its encoder."""

    family: str
    network: dict[str, Any]
    training: dict[str, Any]
    head: dict[str, Any] = field(default_factory=dict)
    augment: dict[str, Any] = field(default_factory=dict)


_WINDOW: dict[str, Any] = {
    "loss": {"class_weights": "sqrt", "l1": 1e-5, "l2": 1e-4},
    "optimizer": {"kind": "ranger"},
    "learning_rate": 0.02,
}
_WINDOW_HEAD = {"norm": "batch", "dropout": 0.3}
_TEN_VIEW: dict[str, Any] = {"loss": {"class_weights": "inverse"}, "learning_rate": 3e-3}
_RANDOM = {"policy": {"kind": "rand_augment", "num_operations": 2, "magnitude": 9}}

CASES: dict[str, Case] = {
    "window-resnet": Case(
        "resnet", {"trained": "frozen"}, _WINDOW | {"mixup": {"level": "tiles"}}, _WINDOW_HEAD, _FLIPS
    ),
    "window-resnet-features": Case(
        "resnet", {"trained": "frozen"}, _WINDOW | {"mixup": {"level": "features"}}, _WINDOW_HEAD, _FLIPS
    ),
    "window-resnet-last": Case(
        "resnet", {"trained": "last"}, _WINDOW | {"mixup": {"level": "tiles"}}, _WINDOW_HEAD, _FLIPS
    ),
    "window-simple-cnn": Case("simple_cnn", {"trained": "all"}, _WINDOW, {}, _FLIPS),
    "ten-view-vit": Case("vit", {"trained": "all"}, _TEN_VIEW, {}, _RANDOM),
    "ten-view-vit-frozen": Case("vit", {"trained": "frozen"}, _TEN_VIEW, {}, _RANDOM),
    "dual-branch-convnext": Case(
        "convnext",
        {"trained": "all", "input": "dual_branch"},
        {
            "loss": {"class_weights": "inverse", "label_smoothing": 0.1},
            "optimizer": {"kind": "lion"},
            "schedule": {"kind": "restarts", "first_cycle_epochs": 1, "cycle_growth": 2},
            "mixup": {"level": "tiles", "mixup_alpha": 0.0, "cutmix_alpha": 1.0, "probability": 0.5},
            "learning_rate": 3e-4,
            "select_by": "metric",
        },
        {"kind": "mlp", "hidden_sizes": [16], "norm": "batch", "dropout": 0.4},
        _FLIPS | {"quarter_turn": 0.75, "color": {"probability": 0.8}},
    ),
    "adaptive-patch-resnet": Case(
        "resnet",
        {"trained": "last"},
        {"loss": {"class_weights": "none"}, "mixup": {"level": "tiles"}, "learning_rate": 3e-3},
    ),
    "component-box-convnext": Case(
        "convnext",
        {"trained": "progressive", "blocks_per_stage": 2, "epochs_per_stage": 1},
        {
            "loss": {"class_weights": "inverse"},
            "optimizer": {"kind": "lion"},
            "schedule": {"kind": "constant"},
            "weight": "tile",
            "learning_rate": 1e-3,
        },
        {},
        _FLIPS | {"affine": {"probability": 0.8, "degrees": 180, "translation": 0.1, "scale": (0.9, 1.1)}},
    ),
}
_SMALL = {
    "input": "tiles",
    "epochs": 4,
    "batch_size": 8,
    "num_threads": 1,
    "patience": "never",
    "engine": {"device": "cpu"},
}


def losses(name: str, **changes: Any) -> list[float]:
    """The loss of every step of a case, from one fixed seed on one thread."""
    case = CASES[name]
    card = small_card(case.family)
    config = NetworkConfig.model_validate(case.network)
    mask = None
    if config.input == "dual_branch":
        mask_card = small_card("resnet")
        mask = (mask_card, create_network(mask_card, seed=1))
    head = HeadConfig.model_validate(case.head)
    body = (card, create_network(card, seed=0))
    network = TileNetwork(config, body, head, num_classes=2, seed=0, mask_encoder=mask)
    training = TrainingConfig.model_validate(_SMALL | case.training | changes)
    augment = AugmentConfig.model_validate(case.augment)
    with _recorded() as recorded_losses:
        train_network(network, _data(card.input_px), training, augment, seed=5)
    return recorded_losses


def epochs() -> list[list[float | None]]:
    """Losses, macro F1 and rate of every epoch of a training that averages its weights."""
    data, _, _ = draw_data(8, 4)
    values = {"epochs": 5, "batch_size": 16, "learning_rate": 1e-3, "mixup": {"level": "tiles"}}
    config = TrainingConfig.model_validate(_SMALL | values | {"step": {"ema_decay": 0.9}})
    augment = AugmentConfig(horizontal_flip=0.5, quarter_turn=0.5)
    _, history = train_network(cnn(seed=1), data, config, augment, seed=1)
    return [[row.train_loss, row.validation_loss, row.validation_score, row.learning_rate] for row in history.rows]


def _data(side: int) -> PixelData:
    """Six slides of one class and two of the other, and two to select by, of three tiles each."""
    rng = np.random.default_rng(11)
    labels = {f"s{number}": int(number % 4 == 3 or number == 9) for number in range(10)}
    slides = {name: draw_slide(label, rng, num_tiles=3, side=side) for name, label in labels.items()}
    names = tuple(slides)
    parts = [TilePart.of(slides, part, labels) for part in (names[:8], names[8:])]
    return PixelData(CLASSES, *parts)


@contextmanager
def _recorded() -> Iterator[list[float]]:
    recorded_losses: list[float] = []
    original = Engine.loss

    def recorded(self: Engine, *args: Any) -> torch.Tensor:
        loss = original(self, *args)
        recorded_losses.append(loss.item())
        return loss

    Engine.loss = recorded  # type: ignore[method-assign]
    try:
        yield recorded_losses
    finally:
        Engine.loss = original  # type: ignore[method-assign]


def _main() -> None:
    torch.set_num_threads(1)
    FOLDER.mkdir(exist_ok=True)
    for name in CASES:
        curve = [round(loss, 7) for loss in losses(name)]
        (FOLDER / f"{name}.json").write_text(json.dumps(curve) + "\n", encoding="utf-8")
    (FOLDER / EPOCHS).write_text(json.dumps(epochs(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    _main()
