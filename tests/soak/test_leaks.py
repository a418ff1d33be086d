"""Labels that say nothing: no recipe, no best of a sweep and no ensemble may look better than chance too often.

A leak, wherever it is, makes test slides easier than new ones. So the labels of a cohort are shuffled a hundred times,
everything is trained on each, and the p-value of a permutation test on its test part must be below 0.05 in at most ten
of them: of a hundred honest p-values more than ten are so small once in 87 times.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from tests.drawn import SETTINGS, draw_slide
from tests.recipes.shrunk import SYSTEMS, shrink
from tilewise import api
from tilewise.auditing import audit_cohort
from tilewise.evaluation.permutation import permutation_p_value
from tilewise.evaluation.sample import Sample
from tilewise.pipeline import ensemble, train
from tilewise.sweep.grid import Grid

pytestmark = pytest.mark.soak

NUM_SHUFFLES = 100
MOST_BELOW = 10
NUM_SLIDES = 24
METHODS = ("average", "weighted", "greedy", "stack-logistic", "stack-boosting", "stack-boosting-ovr")

# The networks are the smallest there are; every other choice of the recipe stays.
SMALLEST = {
    "window-resnet50": ("encoder.name=simple_cnn",),
    "ten-view-phikon": ("encoder.name=simple_cnn",),
    "dual-branch-convnext": ("encoder.name=simple_cnn", "network.mask_encoder=simple_cnn"),
    "adaptive-patch-resnet50": ("encoder.name=simple_cnn", "segment.unet.num_folds=2"),
    "component-box-convnext": ("encoder.name=simple_cnn",),
}


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    home = tmp_path_factory.mktemp("slides")
    for number in range(NUM_SLIDES):
        mask = home / "masks" / f"mask_{number:04d}.png"
        draw_slide(home / "images" / f"img_{number:04d}.png", number, klass=0, mask=mask)
    return home


@pytest.fixture(autouse=True)
def _without_pages(monkeypatch, tmp_path_factory):
    """Pages cost more than the training here, and no prediction comes from them."""
    monkeypatch.setenv("TILEWISE_CACHE", str(tmp_path_factory.getbasetemp() / "cache-of-leaks"))
    monkeypatch.setattr(train, "write_report", lambda *_, **__: None)
    monkeypatch.setattr(train, "write_audit_report", lambda *_, **__: None)
    monkeypatch.setattr(ensemble, "write_report", lambda *_, **__: None)


@pytest.fixture(autouse=True, scope="module")
def _pairs_once():
    """Which slides are copies has nothing to do with labels, and looking for them costs more than the training here."""
    find, known = audit_cohort.find_pairs, {}

    def find_once(prints):
        key = tuple(sorted(prints))
        if key not in known:
            known[key] = find(prints)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit_cohort, "find_pairs", find_once)
        yield


def shuffled(slides: Path, folder: Path, seed: int) -> Path:
    """The slides with half of the labels A and half B, at random."""
    folder.mkdir()
    for part in ("images", "masks"):
        (folder / part).symlink_to(slides / part)
    labels = np.random.default_rng(seed).permutation(["A", "B"] * (NUM_SLIDES // 2))
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        rows = [(f"img_{number:04d}.png", label) for number, label in enumerate(labels)]
        csv.writer(stream).writerows([("sample_index", "label"), *rows])
    return folder


def p_value(run, part: str = "test") -> float:
    predictions = run.predictions
    table = predictions.table
    sample = Sample.of(table[table["part"] == part], predictions.classes)
    return permutation_p_value(sample, num_permutations=999, seed=0)


def num_below(values: list[float]) -> int:
    return sum(value < 0.05 for value in values)


@pytest.mark.parametrize("name", SYSTEMS)
def test_no_recipe_finds_what_is_not_there(slides, tmp_path, name):
    of_test, of_holdout = [], []
    for seed in range(NUM_SHUFFLES):
        cohort = shuffled(slides, tmp_path / f"cohort-{seed}", seed)
        recipe = shrink(name, *SMALLEST[name])
        run = api.train(cohort, recipe, out=tmp_path / f"run-{seed}", seed=seed, workers=1)
        of_test.append(p_value(run))
        if recipe.folds.holdout_fraction:
            of_holdout.append(p_value(run, "holdout"))
    assert num_below(of_test) <= MOST_BELOW, sorted(of_test)
    assert num_below(of_holdout) <= MOST_BELOW, sorted(of_holdout)


def test_no_best_of_a_sweep_and_no_ensemble_finds_what_is_not_there(slides, tmp_path):
    grid = Grid(name="three", factors={"head.dropout": [0.0, 0.5], "training.loss.l1": [0.0, 0.01]})
    grid = grid.over(None, (*SETTINGS, "folds.holdout_fraction=0.25"))
    p_values: dict[str, list[float]] = {}
    for seed in range(NUM_SHUFFLES):
        cohort, home = shuffled(slides, tmp_path / f"cohort-{seed}", seed), tmp_path / f"sweep-{seed}"
        swept = api.sweep(cohort, grid, out=home, seed=seed, workers=1)
        chosen = swept.table.chosen
        runs = {row.name: api.train(cohort, variant_of(home, row), out=home / row.run, seed=seed, workers=1)
                for row in swept.table.rows}  # fmt: skip
        p_values.setdefault("best of the sweep", []).append(p_value(runs[chosen.name]))
        for method in METHODS:
            run = api.ensemble(list(runs.values()), method, out=tmp_path / f"{method}-{seed}", seed=seed)
            for part in ("test", "holdout"):
                p_values.setdefault(f"{method}, {part}", []).append(p_value(run, part))
    too_often = {name: sorted(values) for name, values in p_values.items() if num_below(values) > MOST_BELOW}
    assert not too_often, too_often


def variant_of(home: Path, row) -> str:
    return str(home / row.run / "recipe.yaml")
