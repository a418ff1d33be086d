"""A report's input with everything in it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tilewise.evaluation.config import EvaluationConfig
from tilewise.evaluation.evaluate_predictions import evaluate
from tilewise.reporting.choose import confident_errors, example_slides
from tilewise.reporting.data import (
    AuditSummary,
    CohortSummary,
    DecisionRow,
    Epoch,
    FailureRow,
    History,
    PartSummary,
    Picture,
    ReportInput,
    TileSummary,
)
from tilewise.units import Box

CLASSES = ("Luminal A", "HER2(+)", "Triple <negative>")


@pytest.fixture(scope="session")
def predictions() -> pd.DataFrame:
    """40 test slides in 4 folds, and 8 of a hold-out."""
    rng = np.random.default_rng(0)
    truth = np.arange(48) % 3
    logits = rng.normal(size=(48, 3)) + np.eye(3)[truth]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    table = pd.DataFrame({"slide": [f"img_{index:04d}.png" for index in range(48)]})
    table["label"] = np.asarray(CLASSES, object)[truth]
    table["group"] = [f"g{index // 2}" for index in range(48)]
    table["fold"] = [index // 2 % 4 for index in range(40)] + [-1] * 8
    table["part"] = ["test"] * 40 + ["holdout"] * 8
    for column, name in enumerate(CLASSES):
        table[f"p_{name}"] = probabilities[:, column]
    table["predicted"] = np.asarray(CLASSES, object)[probabilities.argmax(1)]
    table["num_tiles"] = 3 + np.arange(48) % 5
    return table


@pytest.fixture(scope="session")
def evaluation(predictions: pd.DataFrame) -> dict:
    """Scores of the predictions."""
    return evaluate(predictions, CLASSES, EvaluationConfig(num_resamples=200), seed=0).to_json()


@pytest.fixture
def report_input(predictions: pd.DataFrame, evaluation: dict) -> ReportInput:
    """A run with everything that a report can show."""
    from dataclasses import replace

    rgb = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    mask = np.zeros((40, 60), bool)
    mask[10:30, 20:50] = True
    picture = Picture(rgb, (Box(20, 10, 15, 15), Box(35, 15, 15, 15)), mask)
    slides = dict.fromkeys(CLASSES, 16)
    return ReportInput(
        title="Needle cores",
        run="first",
        recipe="default",
        encoder="texture",
        evaluation=evaluation,
        cohort=CohortSummary(
            "my_cohort", "a table, cohort.csv", slides, dict.fromkeys(CLASSES, 12), 2, 24, ("took cohort.csv",)
        ),
        audit=AuditSummary(
            {"exact-copy": 3},
            (
                *(DecisionRow(f"img_{n:04d}.png", "exact-copy", "drop", "same pixels", "someone") for n in range(3)),
                DecisionRow("img_0007.png", "mask-empty", "fix-mask", "marks no pixel", "tilewise"),
            ),
            "48 of 48 slides share a group.",
        ),
        tiles=TileSummary(
            {name: int(num) for name, num in zip(predictions["slide"], predictions["num_tiles"], strict=True)},
            {"img_0100.png": "no tissue"},
            {"img_0101.png": "mask is empty"},
            "Windows of 224 px.",
            overlap=True,
        ),
        parts=(
            *(PartSummary(0, part, dict.fromkeys(CLASSES, 4), 6) for part in ("train", "validation", "test")),
            PartSummary(None, "holdout", dict.fromkeys(CLASSES, 2), 4),
        ),
        fold_notes=("groups are large or few",),
        histories=tuple(
            History(fold, tuple(Epoch(n, 1 / n, 1.2 / n, 1 - 1 / n) for n in range(1, 8)), 5) for fold in range(4)
        ),
        slides=tuple(replace(slide, picture=picture) for slide in example_slides(predictions, CLASSES)),
        confident_errors=tuple(confident_errors(predictions, most=4)),
        warnings=("random weights",),
        recipe_yaml="tiles:\n  size_px: 224\n",
        environment={"python": "3.11", "packages": {"torch": "2.13"}},
        failures=(FailureRow("img_0200.png", "tiles", "cannot be decoded; copy it again"),),
        version="1.2.3",
        seed=17,
        created="2031-05-04T12:00:00Z",
    )
