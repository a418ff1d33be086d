"""Runs on a cohort with slides without a label: they are in no part of any fold, and teach only where they may."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.drawn import draw_cohort, recipe
from tilewise import api
from tilewise.cohort import Cohort
from tilewise.inference.classifier import ClassifierBundle
from tilewise.pipeline.finished_run import Run
from tilewise.store import verify

pytestmark = pytest.mark.shared_cache

NUM, LABELLED = 26, 18
NAMES = [f"images/img_{number:04d}.png" for number in range(NUM)]
# Four slides without a label are of patients of whom others have one; four are of patients of their own.
PATIENTS = [f"p{number - LABELLED if number in range(LABELLED, LABELLED + 4) else number}" for number in range(NUM)]
SETTINGS = ("pseudo.method=confident", "pseudo.threshold=0.5", "folds.holdout_fraction=0.2")


def draw(folder: Path) -> Path:
    draw_cohort(folder, num_slides=NUM, columns={"group": PATIENTS})
    table = folder / "cohort.csv"
    with table.open(encoding="utf-8", newline="") as stream:
        head, *rows = csv.reader(stream)
    for row in rows[LABELLED:]:
        row[2] = ""
    with table.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([head, *rows])
    return folder


def train(home: Path, name: str, *more: str) -> Run:
    return api.train(Cohort.discover(home / "cohort"), recipe(*SETTINGS, *more), out=home / name, workers=1)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("pseudo")
    draw(home / "cohort")
    train(home, "run")
    return home


def folds_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "folds.json").read_text("utf-8"))


def joined(run: Path, number: int) -> list[dict[str, str]]:
    with (run / "folds" / str(number) / "pseudo.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_slides_without_a_label_teach_in_the_folds_that_score_none_of_their_patients(home: Path) -> None:
    patient = dict(zip(NAMES, PATIENTS, strict=True))
    folds = folds_of(home / "run")
    for number, fold in enumerate(folds["folds"]):
        scored = {patient[name] for name in (*fold["validation"], *fold["test"], *folds["holdout"])}
        added = [row["slide"] for row in joined(home / "run", number)]
        # Of two classes one has half the probability at least, so that all that may join do.
        assert set(added) == {name for name in NAMES[LABELLED:] if patient[name] not in scored}
        assert len(added) < 8
    assert any(row["slide"] in NAMES[LABELLED : LABELLED + 4] for row in joined(home / "run", 0))


def test_they_are_scored_nowhere_and_recognised_when_they_come_back(home: Path) -> None:
    folds = folds_of(home / "run")
    assert set(folds["slides"]) == set(NAMES[:LABELLED])
    table = pd.read_parquet(home / "run" / "predictions.parquet")
    assert set(table["slide"]) <= set(NAMES[:LABELLED])
    classifier = ClassifierBundle.load(home / "run" / "model")
    taught = set(classifier.training_slides.values())
    assert set(NAMES[LABELLED + 4 :]) <= taught
    assert not taught & set(folds["holdout"])
    assert sum(classifier.label_counts.values()) == LABELLED - len(folds["holdout"])
    assert verify(home / "run") == []


def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(home: Path) -> None:
    shutil.copytree(home / "run", home / "stopped")
    for lost in ("manifest.json", "predictions.parquet", "folds/1/model.json", "folds/2"):
        path = home / "stopped" / lost
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    train(home, "stopped")
    for path in sorted((home / "run").rglob("*")):
        if path.is_file() and path.parts[-2] != "run":
            other = home / "stopped" / path.relative_to(home / "run")
            assert path.suffix == ".html" or other.read_bytes() == path.read_bytes(), path
    assert verify(home / "stopped") == []


def test_networks_on_pixels_take_them_in_too_beside_composed_tiles(home: Path) -> None:
    train(
        home, "pixels", "training.input=tiles", "encoder.name=simple_cnn", "encoder.init=random", "network.trained=all",
        "network.input_px=32", "training.epochs=2", "training.num_threads=1", "folds.kind=holdout",
        "folds.num_folds=5", "synthesis.method=texture", "synthesis.add=share", "synthesis.share=0.5",
    )  # fmt: skip
    (model,) = ClassifierBundle.load(home / "pixels" / "model").members
    added = [row["slide"] for row in joined(home / "pixels", 0)]
    assert set(NAMES[LABELLED + 4 :]) <= set(added)
    assert [one["slide"] for one in model.origin["pseudo"]["added"]] == added
    assert set(model.origin["synthesis"]["num_added"]) == {"A", "B"}
    # Composed of the slides that joined as well: half as many as the train part has tiles by then.
    first = json.loads((home / "pixels" / "folds" / "0" / "pseudo" / "round-0" / "model.json").read_text("utf-8"))
    for label, number in model.origin["synthesis"]["num_added"].items():
        assert number >= first["origin"]["synthesis"]["num_added"][label]
    assert verify(home / "pixels") == []


def test_a_cohort_whose_slides_all_have_a_label_is_told_so(tmp_path: Path) -> None:
    draw_cohort(tmp_path / "cohort", num_slides=8)
    run = api.train(
        Cohort.discover(tmp_path / "cohort"), recipe("pseudo.method=confident"), out=tmp_path / "run", workers=1
    )
    assert "pseudo.method=confident had no effect: every slide has a label." in run.warnings
