"""Pretraining of a fold on disk: what it leaves, what it looks at, and when it is made again."""

from __future__ import annotations

import csv
import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tests.killed import exit_code
from tests.training.networks.drawn import cnn
from tests.training.pretrain.drawn import Tiles, draw_slides, simclr, training
from tests.training.pretrain.killed import die, slides_of_task, task
from tilewise.errors import TrainingError
from tilewise.models import HeadConfig
from tilewise.models.networks import TileNetwork
from tilewise.training.pretrain import pretrain_encoder as module
from tilewise.training.pretrain.pretrain_encoder import PretrainTask, pretrain_encoder

FILES = ["pretrained.json", "pretrained.safetensors", "pretraining.csv"]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def state(network: TileNetwork) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in network.state_dict().items()}


@pytest.fixture(scope="module")
def slides() -> Tiles:
    """Only the first three may be looked at."""
    return slides_of_task()


@pytest.fixture(scope="module")
def made(slides: Tiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fold")
    pretrain_encoder(task(), slides, cnn(), out=out)
    return out


def never(*_args: Any, **_options: Any) -> None:
    raise AssertionError("it was made again")


def test_it_leaves_weights_description_and_history_and_asks_for_no_other_slide(made: Path, slides: Tiles) -> None:
    assert sorted(contents(made)) == FILES
    slide_data = json.loads((made / "pretrained.json").read_text())
    assert (slide_data["slides"], slide_data["num_tiles"], slide_data["num_epochs"]) == (["s00", "s01", "s02"], 15, 2)
    assert (slide_data["device"], slide_data["num_threads"]) == ("cpu", 1)
    assert slide_data["pretrain"]["method"] == "simclr"
    with (made / "pretraining.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[-1]["loss"]) == slide_data["loss"]
    assert 0 < float(rows[-1]["learning_rate"]) < float(rows[0]["learning_rate"]) == 1e-3


def test_the_network_gets_the_weights_in_the_file_and_keeps_its_head(made: Path, slides: Tiles) -> None:
    network = cnn(HeadConfig(kind="mlp", hidden_sizes=(8,)))
    before = state(network)
    pretrain_encoder(task(), slides, network, out=made)
    after, weights = state(network), load_file(made / "pretrained.safetensors")
    heads = {name for name in before if name.startswith("head.")}
    assert {name for name in before if after[name] == before[name]} == heads
    assert {name: tensor.numpy().tobytes() for name, tensor in weights.items()} == {
        name: after[name] for name in before.keys() - heads
    }


def test_a_finished_one_is_left_alone(made: Path, slides: Tiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tilewise.training.pretrain.loop.pretrain", never)
    before = contents(made), [path.stat().st_mtime_ns for path in sorted(made.iterdir())]
    (made / "pretraining.safetensors").write_bytes(b"of one that is over")
    pretrain_encoder(task(), slides, cnn(), out=made)
    assert (contents(made), [path.stat().st_mtime_ns for path in sorted(made.iterdir())]) == before


def damage_weights(folder: Path) -> None:
    path = folder / "pretrained.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\0")


def cut_weights(folder: Path) -> None:
    path = folder / "pretrained.safetensors"
    path.write_bytes(path.read_bytes()[:-4])


def damage_description(folder: Path) -> None:
    (folder / "pretrained.json").write_text("{")


def lose_history(folder: Path) -> None:
    (folder / "pretraining.csv").unlink()


@pytest.mark.parametrize("damage", [damage_weights, cut_weights, damage_description, lose_history])
def test_a_damaged_one_is_made_again(damage: Callable[[Path], None], made: Path, slides: Tiles, tmp_path: Path) -> None:
    for name, content in contents(made).items():
        (tmp_path / name).write_bytes(content)
    damage(tmp_path)
    assert contents(tmp_path) != contents(made)
    pretrain_encoder(task(), slides, cnn(), out=tmp_path)
    assert contents(tmp_path) == contents(made)


def test_killed_before_its_last_file_it_ends_with_the_same_bytes(
    made: Path, slides: Tiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_json", never)
        with pytest.raises(AssertionError):
            pretrain_encoder(task(), slides, cnn(), out=tmp_path)
    assert not (tmp_path / "pretrained.json").exists()
    pretrain_encoder(task(), slides, cnn(), out=tmp_path)
    assert contents(tmp_path) == contents(made)


def test_killed_in_the_middle_of_an_epoch_it_ends_with_the_same_bytes(
    made: Path, slides: Tiles, tmp_path: Path
) -> None:
    assert exit_code(die, tmp_path) == -signal.SIGKILL
    assert sorted(contents(tmp_path)) == ["pretraining.csv", "pretraining.safetensors"]
    assert len((tmp_path / "pretraining.csv").read_text().splitlines()) == 2
    pretrain_encoder(task(), slides, cnn(), out=tmp_path)
    assert contents(tmp_path) == contents(made)


def test_everything_that_changes_the_weights_is_in_the_digest(slides: Tiles) -> None:
    def digest(request: PretrainTask, network: TileNetwork | None = None, tiles: Tiles = slides) -> str:
        from tilewise.training.pretrain.loop import encoder_weights

        network = network or cnn()
        return module._digest(request, tiles, network, encoder_weights(network))

    others = [
        digest(task(slide_ids=("s00", "s01"))),
        digest(task(slide_ids=("s01", "s00", "s02"))),
        digest(task(config=simclr(epochs=2, batch_size=8, temperature=0.3))),
        digest(task(config=simclr(epochs=2, batch_size=8, augment={"hed": {"strength": 0.2}}))),
        digest(task(training=training(engine={"device": "cpu", "channels_last": True}))),
        digest(task(training=training(step={"precision": "bfloat16"}))),
        digest(task(training=training(step={"clip_norm": 1.0}))),
        digest(task(training=training(engine={"device": "cpu", "compile": True}))),
        digest(task(training=training(num_threads=2))),
        digest(task(seed=4)),
        digest(task(), cnn(seed=1)),
        digest(task(), cnn(input="mask_channel")),
        digest(task(), tiles=draw_slides(5, num_tiles=5, seed=1)),
    ]
    assert len({digest(task()), *others}) == len(others) + 1
    # What only the training after it depends on.
    same = [
        digest(task(name="fold 2")),
        digest(task(training=training(epochs=9, learning_rate=0.1, engine={"device": "cpu", "log": "tensorboard"}))),
        digest(task(training=training(step={"ema_decay": 0.9, "accumulate": 2}))),
        digest(task(training=training(engine={"device": "cpu", "devices": 2}))),
        digest(task(), cnn(HeadConfig(kind="mlp", hidden_sizes=(8,)), trained="last")),
    ]
    assert set(same) == {digest(task())}


def test_a_slide_without_tiles_is_named(slides: Tiles, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"fold 1: slide lost has no tiles; drop it"):
        pretrain_encoder(task(slide_ids=("s00", "lost")), slides, cnn(), out=tmp_path)
    empty = Tiles(slides)
    empty["s00"] = replace(slides["s01"], images_TSCHW=slides["s01"].images_TSCHW[:0])
    with pytest.raises(TrainingError, match=r"fold 1: slide s00 has no tile to learn from"):
        pretrain_encoder(task(), empty, cnn(), out=tmp_path)
