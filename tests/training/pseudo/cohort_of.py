"""A drawn cohort of feature bags, most of them without a label, and a training that dies in the middle of its fold."""

from __future__ import annotations

import os
import signal
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewise.extraction.bag import FeatureBag
from tilewise.folds import Fold
from tilewise.inference.classifier import predict_bags
from tilewise.models import FoldModel, HeadConfig
from tilewise.training import TrainingConfig
from tilewise.training.fold import train_fold
from tilewise.training.fold_request import FoldRequest
from tilewise.training.pseudo.rounds import ModelTrainer, PseudoTask, train_with_pseudo
from tilewise.training_config.pseudo import PseudoConfig

CLASSES = ("A", "B", "C")
NUM_FEATURES = 24


class Guarded(Mapping[str, FeatureBag]):
    """Bags that may be asked for, and others that may not."""

    def __init__(self, bags: Mapping[str, FeatureBag], forbidden: Collection[str] = ()) -> None:
        self._bags, self._forbidden = bags, frozenset(forbidden)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> FeatureBag:
        assert name not in self._forbidden, f"{name} was looked at"
        self.asked.add(name)
        return self._bags[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._bags)

    def __len__(self) -> int:
        return len(self._bags)


def draw(
    names: Mapping[str, str], *, distance: float = 0.8, num_tiles: int = 4, seed: int = 0
) -> dict[str, FeatureBag]:
    """Tiles about the centre of their slide's class; the slide's own shift is as large as that of a tile."""
    rng = np.random.default_rng(seed)
    centres = distance * rng.normal(size=(len(CLASSES), NUM_FEATURES))
    boxes = np.zeros((num_tiles, 4), dtype=np.int64)
    bags = {}
    for name, label in names.items():
        middle = centres[CLASSES.index(label)] + rng.normal(size=NUM_FEATURES)
        features = middle + rng.normal(size=(num_tiles, NUM_FEATURES))
        bags[name] = FeatureBag(name, features.astype(np.float32), boxes)
    return bags


def truth(num_labelled: int = 12, num_unlabelled: int = 30) -> dict[str, str]:
    """Slide -> its true class, in turn: `s..` have a label, `u..` have none that a model may see."""
    names = [f"s{i:02d}" for i in range(num_labelled)] + [f"u{i:02d}" for i in range(num_unlabelled)]
    return {name: CLASSES[i % len(CLASSES)] for i, name in enumerate(names)}


TRUTH = truth()
SLIDES = tuple(name for name in TRUTH if name.startswith("s"))
UNLABELLED = tuple(name for name in TRUTH if name.startswith("u"))
LABELS = {name: TRUTH[name] for name in SLIDES}
FOLD = Fold(train=SLIDES[:6], validation=SLIDES[6:9], test=SLIDES[9:])


def head_trainer(bags: Mapping[str, FeatureBag], *, epochs: int = 40, seed: int = 5) -> ModelTrainer[FoldModel]:
    """Of linear heads, as the pipeline trains them."""

    def train(fold: Fold, labels: Mapping[str, str], out: Path) -> FoldModel:
        task = FoldRequest(0, fold, labels, CLASSES, HeadConfig(), TrainingConfig(epochs=epochs), seed)
        return train_fold(task, bags, out=out)

    def predict(model: FoldModel, names: Sequence[str]) -> dict[str, npt.NDArray[np.float64]]:
        own = {name: bags[name] for name in names}
        return dict(zip(own, predict_bags(model, own), strict=True))

    return ModelTrainer(train, predict)


def task(
    *, labels: Mapping[str, str] = LABELS, candidates: Sequence[str] = UNLABELLED, fold: Fold = FOLD, **config: Any
) -> PseudoTask:
    """The fold of this cohort."""
    made = PseudoConfig.model_validate({"method": "confident", "threshold": 0.6} | config)
    return PseudoTask(0, fold, labels, CLASSES, tuple(candidates), made)


def die(out: Path, number: int) -> None:
    """End this process by SIGKILL when the model of this number, from 1, is about to be written."""
    import torch

    torch.set_num_threads(1)
    original, calls = FoldModel.save, [0]

    def save(model: FoldModel, folder: Path) -> None:
        calls[0] += 1
        if calls[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)
        original(model, folder)

    FoldModel.save = save  # type: ignore[method-assign]
    train_with_pseudo(task(rounds=2), head_trainer(draw(TRUTH)), out=out)
