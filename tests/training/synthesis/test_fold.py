"""A fold on pixels with composed tiles: on disk, in the digest, and the same when it was stopped."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tests.drawn import draw_cohort
from tests.training.networks.fold_of import NAMES, changed, store_of, task
from tilewise.errors import RecipeError, TrainingError, UsageError
from tilewise.inference.slide_tiles import InputSpec
from tilewise.inference.tilestore import TileStore
from tilewise.models.networks import NetworkConfig, NetworkModel
from tilewise.recipe import load_recipe
from tilewise.training.fold_request import FoldRequest
from tilewise.training.network_fold import train_network_fold
from tilewise.training.synthesis import Example, SynthesisConfig
from tilewise.training.synthesis.texture import TextureGenerator
from tilewise.training_loop import Trainer

PIXELS = ("training.input=tiles", "encoder.name=simple_cnn", "encoder.init=random", "network.trained=all")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_cohort(tmp_path_factory.mktemp("cohort"), num_slides=10)


@pytest.fixture(scope="module")
def store(cohort: Path) -> TileStore:
    return store_of(cohort)


def request(**config: Any) -> FoldRequest:
    made = SynthesisConfig.model_validate({"method": "texture", "add": "share", "share": 0.5} | config)
    return changed(synthesis=made, training=task(epochs=2).training, network=NetworkConfig(trained="all", input_px=32))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_origin_says_what_was_composed_and_a_stopped_training_ends_the_same(
    store: TileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = train_network_fold(request(), store, out=tmp_path / "whole")
    num = {"A": 0, "B": 0}
    for number, name in enumerate(NAMES[:6]):
        num["AB"[number % 2]] += len(store[name])
    half = {label: round(count / 2) for label, count in num.items()}
    assert model.origin["synthesis"] == {"num_added": half, "notes": []}
    per_epoch = math.ceil((sum(num.values()) + sum(half.values())) / 8)
    assert NetworkModel.load(tmp_path / "whole").origin == model.origin
    original, calls = Trainer._step, [0]

    def step(trainer: Trainer) -> None:
        calls[0] += 1
        if calls[0] == per_epoch + 3:
            raise KeyboardInterrupt
        original(trainer)

    # It dies in the second epoch.
    monkeypatch.setattr(Trainer, "_step", step)
    with pytest.raises(KeyboardInterrupt):
        train_network_fold(request(), store, out=tmp_path / "stopped")
    assert len((tmp_path / "stopped" / "history.csv").read_text().splitlines()) == 2
    train_network_fold(request(), store, out=tmp_path / "stopped")
    assert calls[0] == 2 * per_epoch + 3
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")
    # Left alone when it is whole, trained again where other tiles are made.
    train_network_fold(request(), store, out=tmp_path / "whole")
    assert calls[0] == 2 * per_epoch + 3
    inputs = {train_network_fold(request(**one), store, out=tmp_path / "whole").origin["inputs"] for one in OTHERS}
    assert len(inputs | {model.origin["inputs"]}) == len(OTHERS) + 1
    plain = train_network_fold(
        changed(training=request().training, network=request().network), store, out=tmp_path / "p"
    )
    assert "synthesis" not in plain.origin


OTHERS = [{"feather": 0.1}, {"share": 0.75}]


def test_slides_of_the_test_part_give_neither_texture_nor_shape(store: TileStore, tmp_path: Path) -> None:
    class Guarded(TileStore):
        def __getitem__(self, slide_id: str) -> Any:
            assert slide_id not in NAMES[8:], f"{slide_id} was looked at"
            return super().__getitem__(slide_id)

    guarded = Guarded(store._sources, cache_megabytes=100)
    train_network_fold(request(), guarded, out=tmp_path)
    with pytest.raises(AssertionError, match="was looked at"):
        guarded[NAMES[8]]


def test_select_is_scored_by_its_own_tiles_and_seen_by_no_generator(
    store: TileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs: set[str] = set()
    original = TextureGenerator.make

    def make(self: TextureGenerator, texture: Example, shape: Example, rng: Any) -> Any:
        pairs.update((texture.slide_id, shape.slide_id))
        return original(self, texture, shape, rng)

    monkeypatch.setattr(TextureGenerator, "make", make)
    train_network_fold(request(share=2.0), store, out=tmp_path)
    assert pairs == set(NAMES[:6])


def test_what_cannot_be_composed_is_refused_with_both_keys(cohort: Path, store: TileStore, tmp_path: Path) -> None:
    from tests.inference.cut import cut

    bare = cut(cohort).store(100.0, InputSpec())
    with pytest.raises(TrainingError, match=r"fold 1: slide img_0000\.png: its tiles have no masks"):
        train_network_fold(request(), bare, out=tmp_path)
    with pytest.raises(UsageError, match=r"synthesis\.method=nobody"):
        train_network_fold(request(method="nobody", add="balance", share=1.0), store, out=tmp_path)
    with pytest.raises(RecipeError, match=r"`synthesis` has no effect with training.input=features"):
        load_recipe("texture", ["synthesis.method=texture"])
    several = ("network.input=multi_scale", "network.num_fields=2", "tiles.field_scales=[1, 2]")
    with pytest.raises(
        RecipeError, match=r"synthesis\.method=texture knows one field of view, and network\.input=multi"
    ):
        load_recipe("texture", [*PIXELS, *several, "synthesis.method=texture"])
    assert load_recipe("texture", [*PIXELS, "synthesis.method=texture"]).synthesis.share == 1.0
