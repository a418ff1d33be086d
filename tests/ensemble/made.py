"""Runs made up of probability tables: nothing is trained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from tilewise.ensemble.library import LibraryRun
from tilewise.folds import Fold, FoldItem, Folds
from tilewise.inference.predictions import Predictions

CLASSES = ("A", "B", "C")


def softmax(logits):
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def make_folds(truth, num_folds=3, holdout=0):
    """Test parts in turn; the validation part of each fold is the test part of the next. Two slides make a group."""
    names = [f"s{index:03d}" for index in range(len(truth))]
    inside = len(truth) - holdout
    rest = [index % num_folds for index in range(inside)]
    items = tuple(
        FoldItem(name, CLASSES[label], f"g{index % num_folds}-{index // (2 * num_folds)}" if index < inside else None)
        for index, (name, label) in enumerate(zip(names, truth, strict=True))
    )
    parts = [[name for name, fold in zip(names, rest, strict=False) if fold == number] for number in range(num_folds)]
    folds = tuple(
        Fold(
            train=tuple(sorted(name for other in range(num_folds) if other not in {number, (number + 1) % num_folds}
                               for name in parts[other])),
            validation=tuple(parts[(number + 1) % num_folds]),
            test=tuple(parts[number]),
        )
        for number in range(num_folds)
    )  # fmt: skip
    return Folds(folds, tuple(names[inside:]), (), items, {})


def make_run(name, folds, logits_of, *, fold_noise=0.0, seed=0):
    """A run that says of each slide the softmax of its logits, in each fold with noise of its own."""
    rng = np.random.default_rng(seed)
    known = {item.slide_id: item for item in folds.items}
    tables = []
    parts = [(number, part) for number in range(len(folds.folds)) for part in ("validation", "test")]
    for fold, part in [*parts, *([(-1, "holdout")] if folds.holdout else [])]:
        names = folds.holdout if part == "holdout" else folds.folds[fold].part(part)
        logits = np.array([logits_of[one] for one in names])
        rows = pd.DataFrame(
            {
                "slide": list(names),
                "label": [known[one].label for one in names],
                "group": [known[one].group for one in names],
                "fold": np.int32(fold),
                "part": part,
            }
        )
        noisy = softmax(logits + fold_noise * rng.normal(size=logits.shape))
        tables.append(Predictions.of(rows, noisy, np.full(len(rows), 5), CLASSES))
    return LibraryRun(name, folds, Predictions.join(tables))


def make_runs(skills, *, num_slides=90, num_folds=3, holdout=0, seed=0, fold_noise=0.3, scores=1.0):
    """One run for each skill: how much its logits lean towards the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, num_slides, p=[0.4, 0.35, 0.25])
    folds = make_folds(truth, num_folds, holdout)
    runs = []
    for number, skill in enumerate(skills):
        logits = scores * (skill * np.eye(3)[truth] + rng.normal(size=(num_slides, 3)))
        logits_of = dict(zip((item.slide_id for item in folds.items), logits, strict=True))
        runs.append(make_run(f"run{number}", folds, logits_of, fold_noise=fold_noise, seed=seed + 100 * number))
    return runs


def changed(run, rows, **columns):
    """The run with other values in some rows of its predictions."""
    table = run.predictions.table.copy()
    for name, values in columns.items():
        table.loc[rows(table), name] = values
    return replace(run, predictions=Predictions(table, run.predictions.classes))
