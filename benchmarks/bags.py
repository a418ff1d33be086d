"""Learnt ways from tiles to slides: how long they take to train, and where they beat the mean.

    python benchmarks/bags.py speed      # 5 folds x 10 seeds of gated attention, 691 slides x 20 tiles x 768 features

Seconds are of one processor's time, so that other programs do not count.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from tilewise.folds import FoldItem, FoldsConfig, make_folds
from tilewise.models import HeadConfig
from tilewise.training import TrainingConfig
from tilewise.training.data import FeatureData, PartData
from tilewise.training.head import train_head


def speed() -> None:
    """Train and predict 5 folds of 10 seeds, all 30 epochs each."""
    rng = np.random.default_rng(0)
    bags = {f"{number}": rng.normal(size=(20, 768)).astype(np.float32) for number in range(691)}
    items = [FoldItem(name, "ABCD"[int(name) % 4], name) for name in bags]
    folds = make_folds(items, FoldsConfig(), seed=0)
    labels = {name: int(name) % 4 for name in bags}
    config = TrainingConfig(epochs=30, patience="never", num_seeds=10)
    total = 0.0
    for fold in folds.folds:
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
    print(f"5 folds x 10 seeds: {total:.0f} s of one processor")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["speed"])
    {"speed": speed}[parser.parse_args().what]()


if __name__ == "__main__":
    main()
