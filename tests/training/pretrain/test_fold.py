"""A fold whose network starts from what was learnt without labels, and runs that ask for it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

from tests.drawn import draw_cohort, recipe
from tests.training.pretrain.drawn import Tiles, draw_slides, simclr, training
from tilewise import api
from tilewise.cohort import Cohort
from tilewise.encoders import EncoderConfig
from tilewise.errors import RecipeError
from tilewise.folds import Fold, FoldItem, Folds
from tilewise.models import HeadConfig
from tilewise.models.networks import NetworkConfig, NetworkModel
from tilewise.pipeline.slide_inputs import TileInputs
from tilewise.store import verify
from tilewise.training.augment import AugmentConfig
from tilewise.training.fold_request import FoldRequest
from tilewise.training.network_fold import train_network_fold
from tilewise.training.pretrain import PretrainConfig
from tilewise.training.pseudo.candidates import candidates

FOLD = Fold(train=("s00", "s01", "s02", "s03"), validation=("s04", "s05"), test=("s06", "s07"))
# s08 belongs to a slide of train, s09 to one of validation, s10 to one of test, s11 to none.
GROUPS = {"s08": "s00", "s09": "s04", "s10": "s06"}
MODEL = ["history.csv", "model.json", "model.safetensors"]
PRETRAINED = ["pretrained.json", "pretrained.safetensors", "pretraining.csv"]


def task(**changes: Any) -> FoldRequest:
    plain = FoldRequest(
        number=1,
        fold=FOLD,
        labels={f"s{number:02d}": "AB"[number % 2] for number in range(8)},
        classes=("A", "B"),
        network=NetworkConfig(trained="frozen", input_px=32),
        encoder=EncoderConfig(name="simple_cnn", init="random"),
        head=HeadConfig(),
        training=training(),
        augment=AugmentConfig(),
        seed=3,
        pretrain=simclr(epochs=1),
    )
    return replace(plain, **changes)


def may_take_part() -> tuple[str, ...]:
    names = [f"s{number:02d}" for number in range(12)]
    items = [
        FoldItem(name, "AB"[number % 2] if number < 8 else None, GROUPS.get(name, name))
        for number, name in enumerate(names)
    ]
    folds = Folds((FOLD,), (), (), tuple(items[:8]), {})
    return candidates(items[8:], folds, 0)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def slides() -> Tiles:
    """Test slides, and slides without a label that belong together with one that is scored, must not be asked for."""
    made = draw_slides(12, num_tiles=4)
    made.forbidden = frozenset(("s06", "s07", "s09", "s10"))
    return made


@pytest.fixture(scope="module")
def trained(slides: Tiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fold")
    train_network_fold(task(), slides, out=out)
    return out


def test_the_network_starts_from_what_was_learnt_and_its_digest_says_so(
    trained: Path, slides: Tiles, tmp_path: Path
) -> None:
    assert sorted(contents(trained)) == MODEL + PRETRAINED
    model, plain = NetworkModel.load(trained), train_network_fold(task(pretrain=PretrainConfig()), slides, out=tmp_path)
    # Frozen in the fold itself, the encoder is as pretraining left it.
    learnt = load_file(trained / "pretrained.safetensors")
    for name, tensor in learnt.items():
        np.testing.assert_array_equal(model.weights[name], tensor.numpy())
        assert not np.array_equal(plain.weights[name], model.weights[name])
    assert model.origin["inputs"] != plain.origin["inputs"]
    assert model.origin["pretrain"] == {"config": simclr(epochs=1).model_dump(mode="json"), "unlabelled": []}


def test_select_and_test_are_not_pretrained_on_and_unlabelled_slides_only_where_they_may(
    trained: Path, slides: Tiles, tmp_path: Path
) -> None:
    def learnt_from(folder: Path) -> list[str]:
        return json.loads((folder / "pretrained.json").read_text())["slides"]

    assert learnt_from(trained) == list(FOLD.train)
    # s00 stands for a slide that has joined the train part since.
    model = train_network_fold(
        task(pretrain=simclr(epochs=1, use_unlabelled=True), unlabelled=("s00", *may_take_part())), slides, out=tmp_path
    )
    assert learnt_from(tmp_path) == [*FOLD.train, "s08", "s11"]
    assert model.origin["pretrain"]["unlabelled"] == ["s00", "s08", "s11"]
    with pytest.raises(AssertionError, match="s09 was asked for"):
        train_network_fold(
            task(pretrain=simclr(epochs=1, use_unlabelled=True), unlabelled=("s09",)), slides, out=tmp_path / "other"
        )


def test_none_changes_no_byte_of_a_fold(slides: Tiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_args: Any, **_options: Any) -> None:
        raise AssertionError("it was pretrained")

    before = task(pretrain=PretrainConfig())
    plain = {
        name: getattr(before, name) for name in before.__dataclass_fields__ if name not in ("pretrain", "unlabelled")
    }
    train_network_fold(FoldRequest(**plain), slides, out=tmp_path / "plain")
    monkeypatch.setattr("tilewise.training.pretrain.pretrain_encoder.pretrain_encoder", never)
    train_network_fold(replace(before, unlabelled=may_take_part()), slides, out=tmp_path / "none")
    assert contents(tmp_path / "none") == contents(tmp_path / "plain")
    assert sorted(contents(tmp_path / "none")) == MODEL
    assert "pretrain" not in NetworkModel.load(tmp_path / "none").origin


def test_a_fold_that_is_stopped_after_pretraining_ends_with_the_same_bytes(
    trained: Path, slides: Tiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(Exception):
        """Stands for the end of the process."""

    def stop(*_args: Any, **_options: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("tilewise.training.networks.train.train_network", stop)
        with pytest.raises(Killed):
            train_network_fold(task(), slides, out=tmp_path)
    assert sorted(contents(tmp_path)) == PRETRAINED
    train_network_fold(task(), slides, out=tmp_path)
    assert contents(tmp_path) == contents(trained)
    with monkeypatch.context() as patch:
        patch.setattr("tilewise.training.networks.train.train_network", stop)
        patch.setattr("tilewise.training.pretrain.loop.pretrain", stop)
        train_network_fold(task(), slides, out=tmp_path)  # both are finished
        with pytest.raises(Killed):
            train_network_fold(task(pretrain=simclr(epochs=1, temperature=0.5)), slides, out=tmp_path)


NETWORK = (
    "training.input=tiles", "encoder.name=simple_cnn", "encoder.init=random", "network.input_px=32",
    "training.epochs=1", "training.num_threads=1", "training.engine.device=cpu",
)  # fmt: skip
SIMCLR = ("pretrain.method=simclr", "pretrain.epochs=1")


def test_a_run_pretrains_each_fold_on_its_train_part_and_on_unlabelled_slides_that_may(tmp_path: Path) -> None:
    """Of eleven slides the last two have no label; the first of these belongs to the first slide's patient."""
    root = draw_cohort(
        tmp_path / "cohort", num_slides=11, columns={"group": [*(f"p{number}" for number in range(9)), "p0", "p10"]}
    )
    table = pd.read_csv(root / "cohort.csv")
    table.loc[9:, "label"] = None
    table.to_csv(root / "cohort.csv", index=False)
    name_of = [name.removeprefix("images/") for name in table["slide"]]
    out = tmp_path / "run"
    api.train(Cohort.discover(root), recipe(*NETWORK, *SIMCLR, "pretrain.use_unlabelled=true"), out=out, workers=1)
    folds = json.loads((out / "folds.json").read_text())["folds"]
    joined = 0
    for number, fold in enumerate(folds):
        learnt = {
            Path(name).name
            for name in json.loads((out / "folds" / str(number) / "pretrained.json").read_text())["slides"]
        }
        train = {Path(name).name for name in fold["train"]}
        first = name_of[0] in train
        joined += first
        assert learnt == train | {name_of[10]} | ({name_of[9]} if first else set())
    assert 0 < joined < len(folds)
    assert verify(out) == []
    assert set(pd.read_parquet(out / "predictions.parquet")["part"]) == {"validation", "test"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (SIMCLR, "`pretrain` has no effect with training.input=features"),
        ((*NETWORK, "pretrain.epochs=2"), "pretrain.epochs has no effect with .method: none."),
        ((*NETWORK, *SIMCLR, "pretrain.temprature=2"), "did you mean 'temperature'"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(settings: tuple[str, ...], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        recipe(*settings)


def test_slides_without_a_label_are_passed_on_where_they_are_asked_for(slides: Tiles, tmp_path: Path) -> None:
    asked = recipe(*NETWORK, *SIMCLR, "pretrain.use_unlabelled=true")
    known = FoldRequest(
        0,
        FOLD,
        task().labels,
        ("A", "B"),
        asked.head,
        asked.training,
        0,
        unlabelled=may_take_part(),
        network=asked.network,
        encoder=asked.encoder,
        augment=asked.augment,
        pretrain=asked.pretrain,
        offline=True,
    )
    TileInputs((slides,), asked).train(known, out=tmp_path / "known")
    assert json.loads((tmp_path / "known" / "pretrained.json").read_text())["slides"] == [*FOLD.train, "s08", "s11"]
    without = replace(known, pretrain=recipe(*NETWORK, *SIMCLR).pretrain)
    TileInputs((slides,), asked).train(without, out=tmp_path / "without")
    assert json.loads((tmp_path / "without" / "pretrained.json").read_text())["slides"] == list(FOLD.train)
