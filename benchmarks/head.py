"""The linear head beside scikit-learn's logistic regression, on real slides and simple features; and its speed.

    python benchmarks/head.py            # reads $TILEWISE_DATA, default ../shared/data

Both see the same folds. `C by validation` learns from train and takes the C that does best on validation, as our head
learns from train and stops by validation; `LogisticRegressionCV` learns from train and validation together, with C by
inner grouped folds. The slides of `oral` carry no patient: eight neighbouring numbers stand for one. Osteosarcoma has
blocks of four patients only, so its figures say which optimiser finds what the features hold, and nothing about new
patients.
"""

from __future__ import annotations

import csv
import os
import re
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.feature import local_binary_pattern
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.metrics import balanced_accuracy_score, f1_score
from sklearn.model_selection import StratifiedGroupKFold

from tilewise.folds import FoldItem, FoldsConfig, make_folds
from tilewise.models import HeadConfig
from tilewise.models.aggregate_tiles import aggregate_mean
from tilewise.training import TrainingConfig
from tilewise.training.data import FeatureData, PartData
from tilewise.training.head import train_head
from tilewise.training.tile_weights import tile_weights
from tilewise.training_loop import inverse_frequency_weights

DATA = Path(os.environ.get("TILEWISE_DATA", "../shared/data"))
SEEDS = (0, 1, 2)
PERCENTILES = (5, 25, 50, 75, 95)
Predict = Callable[[FeatureData, PartData], NDArray[np.float64]]


@dataclass(frozen=True)
class Problem:
    """Slides with labels and groups, and the features of their tiles."""

    name: str
    items: tuple[FoldItem, ...]
    bags: dict[str, NDArray[np.float32]]


def describe(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Colour percentiles in three spaces, and local binary patterns at three scales of the grey image."""
    spaces = (rgb, cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV), cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB))
    parts = [np.percentile(space.reshape(-1, 3), PERCENTILES, axis=0).ravel() for space in spaces]
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    for points, radius in ((8, 1), (16, 2), (16, 4)):
        codes = local_binary_pattern(grey, points, radius, "uniform")
        parts.append(np.bincount(codes.astype(int).ravel(), minlength=points + 2) / codes.size)
    return np.concatenate(parts).astype(np.float32)


def read(path: Path) -> NDArray[np.uint8]:
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def oral() -> Problem:
    items, bags = [], {}
    for row in csv.DictReader((DATA / "oral" / "labels.csv").open(encoding="utf-8")):
        name = row["file"]
        number = int(re.findall(r"_(\d+)\.", name)[0])
        group = f"{row['label']} {row['magnification']} {row['split']} {number // 8}"
        items.append(FoldItem(name, row["label"], group))
        bags[name] = describe(read(DATA / "oral" / name))[None]
    return Problem("oral", tuple(items), bags)


def osteosarcoma() -> Problem:
    items, bags = [], {}
    for row in csv.DictReader((DATA / "osteosarcoma" / "cohort.csv").open(encoding="utf-8")):
        rgb = read(DATA / "osteosarcoma" / row["slide"])
        items.append(FoldItem(row["slide"], row["label"], row["group"]))
        corners = [(x, y) for y in (0, 144, 288) for x in (0, 144, 288)]
        bags[row["slide"]] = np.stack([describe(rgb[y : y + 224, x : x + 224]) for x, y in corners])
    return Problem("osteosarcoma", tuple(items), bags)


def head(data: FeatureData, test: PartData) -> NDArray[np.float64]:
    model, _ = train_head(data, HeadConfig(), TrainingConfig(), seed=0)
    return model.predict_slides(test.features_ND, test.tile_slide_N, test.num_slides)[0]


def by_select(data: FeatureData, test: PartData) -> NDArray[np.float64]:
    inputs, labels, weights = prepared(data.train, len(data.classes))
    mean, spread = inputs.mean(axis=0), inputs.std(axis=0) + 1e-9
    models = [
        LogisticRegression(C=strength, max_iter=500).fit((inputs - mean) / spread, labels, sample_weight=weights)
        for strength in np.logspace(-5, 1, 7)
    ]

    def predict(model: LogisticRegression, part: PartData) -> NDArray[np.float64]:
        tiles = model.predict_proba((part.features_ND - mean) / spread)
        return aggregate_mean(tiles, part.tile_slide_N, part.num_slides)[0]

    weight_C = inverse_frequency_weights(np.bincount(data.train.labels_S), "inverse")

    def loss(model: LogisticRegression) -> float:
        truth = data.validation.labels_S
        return float(-(weight_C[truth] * np.log(predict(model, data.validation)[np.arange(len(truth)), truth])).sum())

    return predict(min(models, key=loss), test)


def cross_validated(data: FeatureData, test: PartData) -> NDArray[np.float64]:
    parts = (data.train, data.validation)
    both = PartData.of(
        {name: part.features_ND[part.tile_slide_N == i] for part in parts for i, name in enumerate(part.slide_ids)},
        {name: int(label) for part in parts for name, label in zip(part.slide_ids, part.labels_S, strict=True)},
    )
    inputs, labels, weights = prepared(both, len(data.classes))
    mean, spread = inputs.mean(axis=0), inputs.std(axis=0) + 1e-9
    groups = [GROUP_OF[both.slide_ids[slide]] for slide in both.tile_slide_N]
    inner = list(StratifiedGroupKFold(4).split(inputs, labels, groups))
    model = LogisticRegressionCV(
        Cs=np.logspace(-5, 1, 7),
        cv=inner,
        scoring="neg_log_loss",
        max_iter=500,
        use_legacy_attributes=False,
        l1_ratios=(0.0,),
    ).fit((inputs - mean) / spread, labels, sample_weight=weights)
    tiles = model.predict_proba((test.features_ND - mean) / spread)
    return aggregate_mean(tiles, test.tile_slide_N, test.num_slides)[0]


def prepared(part: PartData, num_classes: int) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    labels = part.labels_S[part.tile_slide_N]
    weights = (
        tile_weights(part, "slide")
        * inverse_frequency_weights(np.bincount(part.labels_S, minlength=num_classes), "inverse")[labels]
    )
    return part.features_ND.astype(np.float64), labels, weights / weights.mean()


GROUP_OF: dict[str, str] = {}


def score(problem: Problem, predict: Predict) -> str:
    """Pooled out-of-fold figures, mean over seeds of the folds."""
    GROUP_OF.update({item.slide_id: str(item.group) for item in problem.items})
    figures = []
    for seed in SEEDS:
        folds = make_folds(problem.items, FoldsConfig(), seed=seed)
        labels = {item.slide_id: folds.classes.index(str(item.label)) for item in folds.items}
        truth, probabilities = [], []
        for fold in folds.folds:
            train, validation, test = (
                PartData.of({name: problem.bags[name] for name in part}, labels)
                for part in (fold.train, fold.validation, fold.test)
            )
            probabilities.append(predict(FeatureData(folds.classes, train, validation), test))
            truth.append(test.labels_S)
        y, p = np.concatenate(truth), np.concatenate(probabilities)
        loss = -np.log(np.maximum(p[np.arange(len(y)), y], 1e-12)).mean()
        guess = p.argmax(axis=1)
        figures.append((f1_score(y, guess, average="macro"), balanced_accuracy_score(y, guess), loss))
    macro, balanced, loss = np.mean(figures, axis=0)
    return f"macro F1 {macro:.3f}   balanced accuracy {balanced:.3f}   log loss {loss:.3f}"


def speed() -> str:
    """100 slides of 20 tiles and 300 features, all 60 epochs, one core."""
    rng = np.random.default_rng(0)
    bags = {f"{i}": rng.normal(size=(20, 300)).astype(np.float32) for i in range(125)}
    labels = {name: i % 4 for i, name in enumerate(bags)}
    names = list(bags)
    parts = [PartData.of({name: bags[name] for name in some}, labels) for some in (names[:100], names[100:])]
    data = FeatureData(tuple("ABCD"), *parts)
    seconds = []
    for _ in range(6):
        start = time.process_time()
        train_head(data, HeadConfig(), TrainingConfig(patience="never"), seed=0)
        seconds.append(time.process_time() - start)
    return f"{np.median(seconds[1:]):.2f} s of one core"


def main() -> None:
    warnings.simplefilter("ignore", ConvergenceWarning)
    for problem in (oral(), osteosarcoma()):
        for name, predict in {
            "head": head,
            "C by validation": by_select,
            "LogisticRegressionCV": cross_validated,
        }.items():
            print(f"{problem.name:14s}{name:22s}{score(problem, predict)}", flush=True)
    print(f"100 slides x 20 tiles x 300 features, 60 epochs: {speed()}")


if __name__ == "__main__":
    main()
