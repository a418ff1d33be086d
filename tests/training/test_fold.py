"""One fold on disk: what is written, and when it is trained again."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tilewise.errors import TrainingError
from tilewise.extraction.bag import FeatureBag
from tilewise.folds import Fold
from tilewise.inference.classifier import predict_bags
from tilewise.models import FoldModel, HeadConfig
from tilewise.training import TrainingConfig
from tilewise.training.fold import train_fold
from tilewise.training.fold_request import FoldRequest

IDS = tuple(f"s{i:02d}" for i in range(20))
TASK = FoldRequest(
    number=2,
    fold=Fold(train=IDS[:12], validation=IDS[12:16], test=IDS[16:]),
    labels={name: "AB"[i % 2] for i, name in enumerate(IDS)},
    classes=("A", "B"),
    head=HeadConfig(),
    training=TrainingConfig(epochs=4),
    seed=7,
)


def bags(num_slides: int = 20, seed: int = 0) -> dict[str, FeatureBag]:
    rng = np.random.default_rng(seed)
    return {
        name: FeatureBag(name, (rng.normal(size=(3, 5)) + i % 2).astype(np.float32), np.zeros((3, 4), dtype=np.int64))
        for i, name in enumerate(IDS[:num_slides])
    }


def written(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_writes_a_model_that_is_the_one_returned(tmp_path: Path) -> None:
    model = train_fold(TASK, bags(), out=tmp_path)
    assert set(written(tmp_path)) == {"model.safetensors", "model.json", "history.csv"}
    x = bags()["s19"].features_ND
    assert FoldModel.load(tmp_path).predict_tiles(x).tobytes() == model.predict_tiles(x).tobytes()
    with (tmp_path / "history.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["epoch", "train_loss", "validation_loss", "validation_score", "learning_rate", "kept"]
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert [row["kept"] for row in rows].index("1") + 1 == model.origin["kept_epoch"]
    assert (model.origin["fold"], model.origin["seed"], model.origin["num_epochs"]) == (2, 7, 4)


def test_a_finished_fold_is_not_trained_again_and_a_damaged_one_is(tmp_path: Path) -> None:
    train_fold(TASK, bags(), out=tmp_path)
    first = written(tmp_path)
    stamps = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    train_fold(TASK, bags(), out=tmp_path)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == stamps
    for name in first:
        (tmp_path / name).write_bytes(first[name][: len(first[name]) // 2])
        if name == "history.csv":
            (tmp_path / name).unlink()
        train_fold(TASK, bags(), out=tmp_path)
        assert written(tmp_path) == first, name


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 8},
        {"number": 3},
        {"head": HeadConfig(dropout=0.5)},
        {"training": TrainingConfig(epochs=5)},
        {"fold": replace(TASK.fold, train=IDS[1:12])},
        {"labels": {**TASK.labels, "s00": "B"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_any_other_input_trains_again(change: dict[str, object], tmp_path: Path) -> None:
    before = train_fold(TASK, bags(), out=tmp_path)
    after = train_fold(replace(TASK, **change), bags(), out=tmp_path)
    assert after.origin["inputs"] != before.origin["inputs"]
    assert FoldModel.load(tmp_path).origin == after.origin


def test_other_features_train_again_but_those_of_test_slides_are_never_looked_at(tmp_path: Path) -> None:
    before = train_fold(TASK, bags(), out=tmp_path)
    without_test = train_fold(TASK, bags(num_slides=16), out=tmp_path)
    assert without_test.origin == before.origin
    assert train_fold(TASK, bags(seed=1), out=tmp_path).origin["inputs"] != before.origin["inputs"]


def test_folds_draw_different_seeds(tmp_path: Path) -> None:
    mlp = replace(TASK, head=HeadConfig(kind="mlp"))
    first = train_fold(mlp, bags(), out=tmp_path / "2")
    other = train_fold(replace(mlp, number=3), bags(), out=tmp_path / "3")
    assert not np.array_equal(first.weights["0.weight"], other.weights["0.weight"])


def test_faults_name_the_fold_and_the_slide(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="fold 2: slide s15 has no features"):
        train_fold(TASK, bags(num_slides=15), out=tmp_path)
    broken = bags()
    broken["s03"].features_ND[0, 0] = np.nan
    with pytest.raises(TrainingError, match="fold 2: slide s03: feature 0 of tile 0 is not finite"):
        train_fold(TASK, broken, out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_mask_ratio_and_place_count_in_training_and_prediction_alike(tmp_path: Path) -> None:
    """Tiles inside the mask tell the class, those at its edge tell it the other way round."""
    rng = np.random.default_rng(0)
    placed = {}
    for i, name in enumerate(IDS):
        ratios_N = np.repeat([1.0, 0.3], 8)
        signs_N = np.where(ratios_N > 0.5, 1.0, -1.0)[:, None] * (1.0 if i % 2 else -1.0)
        features_ND = (0.5 * rng.normal(size=(16, 5)) + signs_N).astype(np.float32)
        boxes = np.column_stack([np.arange(16) * 10, np.zeros(16), np.full((16, 2), 10)]).astype(np.int64)
        placed[name] = FeatureBag(name, features_ND, boxes, mask_ratios=ratios_N)
    test = {name: placed[name] for name in IDS[16:]}
    truth = [i % 2 for i in range(16, 20)]
    accuracies = {}
    for placement in (False, True):
        head = HeadConfig(aggregate="attention", attention_size=8, attention_placement=placement)
        task = replace(TASK, head=head, training=TrainingConfig(epochs=30))
        model = train_fold(task, placed, out=tmp_path / str(placement))
        accuracies[placement] = (predict_bags(model, test).argmax(axis=1) == truth).mean()
        if placement:
            bag = placed[IDS[16]]
            weights_N = model.attention_N(bag.features_ND, np.zeros(16, np.int64), 1, None, bag.placements_NP)
            assert max(weights_N[:8].sum(), weights_N[8:].sum()) > 0.8
            with pytest.raises(ValueError, match=r"head\.attention_placement"):
                model.predict_slides(bag.features_ND, np.zeros(16, np.int64), 1)
            other = {name: replace(one, mask_ratios=one.mask_ratios[::-1]) for name, one in placed.items()}
            again = train_fold(task, other, out=tmp_path / str(placement))
            assert again.origin["inputs"] != model.origin["inputs"], "other mask ratios, another model"
    assert accuracies[True] == 1.0
    with pytest.raises(TrainingError, match="slide s00 has features without mask ratios; drop head"):
        train_fold(task, bags(), out=tmp_path / "unplaced")
    head = HeadConfig(tile_weights="mask_ratio")
    weighed = train_fold(replace(TASK, head=head), placed, out=tmp_path / "weights")
    part = predict_bags(weighed, test)
    bag = placed[IDS[16]]
    tiles_NC = weighed.predict_tiles(bag.features_ND).astype(np.float64)
    np.testing.assert_allclose(part[0], np.average(tiles_NC, axis=0, weights=bag.mask_ratios), rtol=1e-6)
