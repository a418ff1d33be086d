"""A small cohort of features with known classes, and one thread for all that is trained."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.one_thread import one_thread
from tilewise.training.data import FeatureData, PartData

__all__ = ["cohort", "one_thread"]

CLASSES = ("common", "middle", "rare")


def part(rng: np.random.Generator, counts: tuple[int, ...], strength: float, prefix: str) -> PartData:
    """Slides of 3 to 9 tiles whose first features hold the class."""
    bags, labels = {}, {}
    for label, number in enumerate(counts):
        for index in range(number):
            tiles = rng.normal(size=(rng.integers(3, 10), 12))
            tiles[:, label] += strength
            name = f"{prefix}{label}_{index}"
            bags[name], labels[name] = (5.0 + 3.0 * tiles).astype(np.float32), label
    return PartData.of(bags, labels)


@pytest.fixture
def cohort() -> Callable[..., FeatureData]:
    """Makes train and validation parts of the given numbers of slides per class."""

    def make(
        train: tuple[int, ...] = (24, 12, 6),
        validation: tuple[int, ...] = (8, 4, 3),
        strength: float = 1.0,
        seed: int = 0,
    ) -> FeatureData:
        rng = np.random.default_rng(seed)
        return FeatureData(CLASSES, part(rng, train, strength, "t"), part(rng, validation, strength, "s"))

    return make
