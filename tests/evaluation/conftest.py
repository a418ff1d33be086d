"""Predictions tables with known faults and strengths."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest

MakeTable = Callable[..., pd.DataFrame]
CLASSES = ("benign", "in situ", "invasive")


@pytest.fixture
def make_table() -> MakeTable:
    """A function that makes a predictions table; `skill` 0 is guessing, large is certain."""
    return _table


def _table(
    num_slides: int = 60,
    *,
    skill: float = 1.5,
    seed: int = 0,
    num_groups: int | None = None,
    num_folds: int = 3,
    classes: Sequence[str] = CLASSES,
) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, len(classes), num_slides)
    truth[: len(classes)] = np.arange(len(classes))
    logits = rng.normal(size=(num_slides, len(classes))) + skill * np.eye(len(classes))[truth]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    table = pd.DataFrame({"slide": [f"slide_{index:04d}.png" for index in range(num_slides)]})
    table["label"] = np.asarray(classes, object)[truth]
    groups = np.arange(num_slides) if num_groups is None else rng.integers(0, num_groups, num_slides)
    table["group"] = [f"patient {index}" for index in groups]
    table["fold"] = groups % num_folds
    table["part"] = "test"
    for column, name in enumerate(classes):
        table[f"p_{name}"] = probabilities[:, column]
    table["predicted"] = np.asarray(classes, object)[probabilities.argmax(1)]
    table["num_tiles"] = 5
    return table
