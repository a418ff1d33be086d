"""One fold on disk: killed and taken up again, left alone when it is whole, and what it says when it fails."""

from __future__ import annotations

import csv
import logging
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.drawn import draw_cohort
from tests.killed import exit_code
from tests.training.networks.fold_of import NAMES, STEPS_PER_EPOCH, changed, die, store_of, task
from tilewise.encoders import EncoderConfig
from tilewise.errors import TrainingError
from tilewise.folds import Fold
from tilewise.inference.network import predict_slides
from tilewise.inference.tilestore import TileStore
from tilewise.models import HeadConfig
from tilewise.models.networks import NetworkModel
from tilewise.training import network_fold as fold_stage
from tilewise.training.network_fold import train_network_fold

pytestmark = pytest.mark.shared_cache

FILES = ["history.csv", "model.json", "model.safetensors"]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_cohort(tmp_path_factory.mktemp("cohort"), num_slides=10)


@pytest.fixture(scope="module")
def store(cohort: Path) -> TileStore:
    return store_of(cohort)


@pytest.fixture(scope="module")
def trained(store: TileStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fold")
    torch.set_num_threads(1)
    train_network_fold(task(), store, out=out)
    return out


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_fold_leaves_its_model_and_history_and_nothing_else(trained: Path, store: TileStore) -> None:
    assert [path.name for path in sorted(trained.iterdir())] == FILES
    model = NetworkModel.load(trained)
    assert len((trained / "history.csv").read_text().splitlines()) == 5
    assert model.origin["fold"] == 1
    assert model.origin["num_threads"] == 1
    assert model.origin["training"]["epochs"] == 4


def test_the_model_says_of_select_what_the_kept_epoch_was_scored_by(trained: Path, store: TileStore) -> None:
    with (trained / "history.csv").open(encoding="utf-8") as file:
        (best_row,) = [row for row in csv.DictReader(file) if row["kept"] == "1"]
    probabilities = predict_slides([NetworkModel.load(trained)], store, NAMES[6:8]).probabilities_MSC[0]
    # One slide of each class, classes of the same weight.
    assert float(best_row["validation_loss"]) == pytest.approx(-np.log(probabilities[[0, 1], [0, 1]]).mean(), abs=1e-5)


def test_killed_twice_and_taken_up_it_is_the_same_to_the_byte(
    cohort: Path, store: TileStore, trained: Path, tmp_path: Path
) -> None:
    out = tmp_path / "fold"
    # In the middle of the second epoch; then, going on, once the best weights of the third lie there, their state not.
    for where, number, epochs in (("step", STEPS_PER_EPOCH + 3, 1), ("save", 2, 2)):
        assert exit_code(die, cohort, out, where, number) == -signal.SIGKILL
        assert not (out / "model.json").exists()
        assert len((out / "history.csv").read_text().splitlines()) == epochs + 1
    train_network_fold(task(), store, out=out)
    assert contents(out) == contents(trained)


def test_a_finished_fold_is_left_alone(store: TileStore, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_args: Any, **_options: Any) -> None:
        raise AssertionError("it was trained again")

    monkeypatch.setattr("tilewise.training.networks.train.train_network", never)
    before = contents(trained), [path.stat().st_mtime_ns for path in sorted(trained.iterdir())]
    leftover = trained / "training.safetensors"
    leftover.write_bytes(b"of a training that is over")
    model = train_network_fold(task(), store, out=trained)
    assert (contents(trained), [path.stat().st_mtime_ns for path in sorted(trained.iterdir())]) == before
    assert model.origin["inputs"] == NetworkModel.load(trained).origin["inputs"]
    # What changes no weight trains nothing again.
    train_network_fold(task(engine={"device": "cpu", "cache_megabytes": 1}), store, out=trained)
    with pytest.raises(AssertionError, match="trained again"):
        train_network_fold(task(learning_rate=1e-3), store, out=trained)


def damage_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-9])


def lose_history(folder: Path) -> None:
    (folder / "history.csv").unlink()


@pytest.mark.parametrize("damage", [damage_weights, lose_history])
def test_a_damaged_fold_is_trained_again(
    damage: Callable[[Path], None], store: TileStore, trained: Path, tmp_path: Path
) -> None:
    for name, content in contents(trained).items():
        (tmp_path / name).write_bytes(content)
    damage(tmp_path)
    train_network_fold(task(), store, out=tmp_path)
    assert contents(tmp_path) == contents(trained)


def test_everything_that_changes_the_model_is_in_its_digest(store: TileStore) -> None:
    def digest(request: Any) -> str:
        from tilewise.models.networks import build_network

        network = build_network(request.network, request.encoder, request.head, num_classes=2, seed=request.seed)
        return fold_stage._digest(request, store, network)

    fold = task().fold
    others = [
        changed(head=HeadConfig(dropout=0.3)),
        changed(network=task().network.model_copy(update={"mask_weights": "mean"})),
        changed(encoder=EncoderConfig(name="four_block_cnn", init="random")),
        changed(augment=task().augment.model_copy(update={"vertical_flip": 0.5})),
        changed(fold=Fold(fold.train[1:], fold.validation, fold.test)),
        changed(fold=Fold(fold.train, fold.test, fold.validation)),
        changed(labels={**task().labels, NAMES[0]: "B"}),
        changed(seed=4),
        changed(number=2),
        task(step={"ema_decay": 0.8}),
        task(engine={"device": "cpu", "channels_last": True}),
    ]
    assert len({digest(request) for request in [task(), *others]}) == len(others) + 1
    assert digest(task(engine={"device": "cpu", "log": "tensorboard"})) == digest(task())
    assert digest(changed(fold=Fold(fold.train, fold.validation, ()))) == digest(task())


def test_a_loss_that_is_not_finite_names_the_fold_and_slides_and_leaves_no_model(
    store: TileStore, tmp_path: Path
) -> None:
    wild = task(learning_rate=10.0, optimizer={"kind": "sgd"}, loss={"l2": 10.0}, epochs=30)
    message = (
        r"fold 1: the loss is (nan|inf) at epoch \d+, step \d+, learning rate .*img_000\d\.png.*; lower training\.le"
    )
    with pytest.raises(TrainingError, match=message):
        train_network_fold(wild, store, out=tmp_path)
    assert not (tmp_path / "model.json").exists()


def test_slides_without_tiles_and_a_part_of_one_class_are_refused(store: TileStore, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"fold 1: slide lost\.png has no tiles; drop it"):
        train_network_fold(changed(fold=Fold((*NAMES[:6], "lost.png"), (), ())), store, out=tmp_path)
    with pytest.raises(TrainingError, match="fold 1: the train part holds A only"):
        train_network_fold(changed(fold=Fold(tuple(NAMES[:6:2]), (), ())), store, out=tmp_path)


def test_notes_of_training_are_said_and_kept(
    store: TileStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    request = changed(fold=Fold(tuple(NAMES[:4]), (), ()), training=task(epochs=1).training)
    with caplog.at_level(logging.INFO):
        model = train_network_fold(request, store, out=tmp_path)
    assert "fold 1: no validation part: trained for all 1 epochs" in caplog.text
    assert "no validation part" in model.origin["notes"][0]
