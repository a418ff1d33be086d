"""Learnt ways from tiles to slides: how long they take to train, and where they beat the mean.

    python benchmarks/bags.py speed      # 5 folds x 10 seeds of gated attention, 691 slides x 20 tiles x 768 features
    python benchmarks/bags.py cohorts    # drawn bags, of which few tiles or all tell the class

Cohorts: 160 slides of 20 tiles of 16 features, three classes, five folds; features are normal, shifted for each slide
by a normal draw of 0.3. `few`: one or two tiles of a slide are moved by 4 along an axis of its class. `all`: every tile
is moved by 0.5. Macro F1 is of the predictions out of fold. The differences to the mean of tile probabilities are
paired, cohort by cohort, with Student's interval over cohorts. Seconds are of processors' time, so that other programs
do not count; `speed` prints wall-clock time beside it, for as many processors as there are.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student
from sklearn.metrics import f1_score, roc_auc_score

from tilewise.compute import default_threads
from tilewise.folds import FoldItem, Folds, FoldsConfig, make_folds
from tilewise.models import HeadConfig
from tilewise.training import TrainingConfig
from tilewise.training.data import FeatureData, PartData
from tilewise.training.head import train_head

CLASSES = tuple("ABC")
NUM_SLIDES, NUM_TILES, NUM_FEATURES = 160, 20, 16
HEADS = {
    "mean of tile probabilities": HeadConfig(),
    "mean of features, lda": HeadConfig(kind="lda"),
    "top_k": HeadConfig(aggregate="top_k"),
    "max": HeadConfig(aggregate="max"),
    "attention": HeadConfig(aggregate="attention", attention_size=32),
    "additive_attention": HeadConfig(aggregate="additive_attention", attention_size=32),
    "clam_sb": HeadConfig(aggregate="clam_sb", attention_size=32, embedding_size=32),
    "clam_mb": HeadConfig(aggregate="clam_mb", attention_size=32, embedding_size=32),
    "dsmil": HeadConfig(aggregate="dsmil", attention_size=32),
    "transmil": HeadConfig(aggregate="transmil", embedding_size=32),
}
Bags = dict[str, NDArray[np.float32]]


def draw(kind: str, seed: int) -> tuple[Bags, dict[str, int], NDArray[np.bool_]]:
    """Bags, labels, and which tiles tell the class, (S, T)."""
    rng = np.random.default_rng(seed)
    labels_S = rng.permutation(np.arange(NUM_SLIDES) % len(CLASSES))
    tiles_STD = rng.normal(size=(NUM_SLIDES, NUM_TILES, NUM_FEATURES))
    tiles_STD += 0.3 * rng.normal(size=(NUM_SLIDES, 1, NUM_FEATURES))
    tells_ST = np.ones((NUM_SLIDES, NUM_TILES), dtype=bool)
    if kind == "few":
        tells_ST = rng.random((NUM_SLIDES, NUM_TILES)).argsort(axis=1) < rng.integers(1, 3, NUM_SLIDES)[:, None]
    axes_SD = np.eye(NUM_FEATURES)[labels_S]
    tiles_STD += (4.0 if kind == "few" else 0.5) * tells_ST[:, :, None] * axes_SD[:, None]
    names = [f"s{number:03d}" for number in range(NUM_SLIDES)]
    bags = dict(zip(names, tiles_STD.astype(np.float32), strict=True))
    return bags, dict(zip(names, labels_S.tolist(), strict=True)), tells_ST


def cut(names: list[str], labels: dict[str, int], classes: tuple[str, ...]) -> Folds:
    """Five folds, each slide a group of its own."""
    return make_folds([FoldItem(name, classes[labels[name]], name) for name in names], FoldsConfig(), seed=0)


def score(bags: Bags, labels: dict[str, int], tells_ST: NDArray[np.bool_], head: HeadConfig) -> tuple[float, float]:
    """Macro F1 out of fold, and the AUROC of attention against the tiles that tell; nan where all do."""
    truth, predicted, weights, tells = [], [], [], []
    names = list(bags)
    config = TrainingConfig(epochs=30) if head.learns_in_epochs else TrainingConfig()
    for fold in cut(names, labels, CLASSES).folds:
        train, validation, test = (
            PartData.of({name: bags[name] for name in part}, labels)
            for part in (fold.train, fold.validation, fold.test)
        )
        model, _ = train_head(FeatureData(CLASSES, train, validation), head, config, seed=0)
        inputs = (test.features_ND, test.tile_slide_N, test.num_slides)
        predicted.append(model.predict_slides(*inputs)[0].argmax(axis=1))
        truth.append(test.labels_S)
        if head.attends:
            weights.append(model.attention_N(*inputs))
            tells.append(tells_ST[[names.index(name) for name in fold.test]].ravel())
    auroc = np.nan
    if weights and not np.concatenate(tells).all():
        auroc = roc_auc_score(np.concatenate(tells), np.concatenate(weights))
    return f1_score(np.concatenate(truth), np.concatenate(predicted), average="macro"), auroc


def cohorts(num: int) -> None:
    """One line of a table for each head and kind of cohort."""
    print("| tiles that tell | head | macro F1 | minus mean of tile probabilities | AUROC of attention | seconds |")
    print("|---|---|---:|---:|---:|---:|")
    for kind in ("few", "all"):
        drawn = [draw(kind, seed) for seed in range(num)]
        first: NDArray[np.float64] | None = None
        for name, head in HEADS.items():
            start = time.process_time()
            scores = np.array([score(*one, head) for one in drawn])
            seconds = time.process_time() - start
            first = scores[:, 0] if first is None else first
            difference = scores[:, 0] - first
            half = student.ppf(0.975, num - 1) * difference.std(ddof=1) / np.sqrt(num)
            paired = "" if name == next(iter(HEADS)) else f"{difference.mean():+.3f} ± {half:.3f}"
            auroc = "" if np.isnan(scores[:, 1]).any() else f"{scores[:, 1].mean():.3f}"
            print(f"| {kind} | {name} | {scores[:, 0].mean():.3f} | {paired} | {auroc} | {seconds:.0f} |", flush=True)


def speed(_: int) -> None:
    """Train and predict 5 folds of 10 seeds, all 30 epochs each."""
    rng = np.random.default_rng(0)
    bags = {f"{number}": rng.normal(size=(20, 768)).astype(np.float32) for number in range(691)}
    labels = {name: int(name) % 4 for name in bags}
    config = TrainingConfig(epochs=30, patience="never", num_seeds=10)
    total, began = 0.0, time.perf_counter()
    for fold in cut(list(bags), labels, tuple("ABCD")).folds:
        train, validation, test = (
            PartData.of({name: bags[name] for name in part}, labels)
            for part in (fold.train, fold.validation, fold.test)
        )
        start = time.process_time()
        data = FeatureData(tuple("ABCD"), train, validation)
        model, _ = train_head(data, HeadConfig(aggregate="attention"), config, seed=0)
        model.predict_slides(test.features_ND, test.tile_slide_N, test.num_slides)
        seconds = time.process_time() - start
        total += seconds
        print(f"{train.num_slides} slides to train on, 10 seeds: {seconds:.1f} s", flush=True)
    wall = time.perf_counter() - began
    print(f"5 folds x 10 seeds: {total:.0f} s of processors, {wall:.0f} s on {default_threads()} of them")


def main() -> None:
    """Run one of the two."""
    commands: dict[str, Callable[[int], None]] = {"speed": speed, "cohorts": cohorts}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=commands)
    parser.add_argument("--cohorts", type=int, default=6, help="drawn of each kind")
    arguments = parser.parse_args()
    commands[arguments.what](arguments.cohorts)


if __name__ == "__main__":
    main()
