"""A small classifier with random weights, and slides for it."""

from dataclasses import replace

import numpy as np

from tilewise.extraction.bag import FeatureBag
from tilewise.inference.classifier import ClassifierBundle
from tilewise.models import FoldModel, HeadConfig, Standardisation

CLASSES = ("A", "HER2(+), ünsure", "NA")


def member(seed):
    """Softmax regression on four features with random weights."""
    generator = np.random.default_rng(seed)
    weights = {
        "weight": generator.normal(size=(3, 4)).astype(np.float32),
        "bias": generator.normal(size=3).astype(np.float32),
    }
    from tilewise.models.heads import build_head

    names = list(build_head(HeadConfig(), num_features=4, num_classes=3).state_dict())
    weights = {name: weights[name.rsplit(".", 1)[-1]] for name in names}
    return FoldModel(CLASSES, HeadConfig(), Standardisation(np.zeros(4, np.float32), np.ones(4, np.float32)), weights)


def classifier(weights=(0.25, 0.75), **changes):
    whole = ClassifierBundle(
        members=tuple(member(seed) for seed in range(len(weights))),
        weights=weights,
        classes=CLASSES,
        recipe={"name": "r", "tiles": {"size_px": 64}},
        seed=3,
        encoder={"card": "texture", "threads": 2},
        label_counts={"A": 2, "NA": 5},
        training_slides={"digest": "img 1.png"},
    )
    return replace(whole, **changes)


def bags(*lengths):
    generator = np.random.default_rng(9)
    return {
        f"s{number}": FeatureBag(
            f"s{number}", generator.normal(size=(length, 4)).astype(np.float32), np.zeros((length, 4))
        )
        for number, length in enumerate(lengths)
    }
