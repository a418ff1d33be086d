"""Heads behind attention learn from whole slides: what they find, what they count, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from tilewise.errors import RecipeError, TrainingError
from tilewise.folds import derived_seed
from tilewise.models import FoldModel, HeadConfig
from tilewise.models.config import Aggregator
from tilewise.recipe import load_recipe
from tilewise.training import TrainingConfig
from tilewise.training import head as head_training
from tilewise.training.bags import BagSamples
from tilewise.training.data import FeatureData, PartData
from tilewise.training.head import train_head

Cohort = Callable[..., FeatureData]
ATTENTION = HeadConfig(aggregate="attention")
MLP = HeadConfig(kind="mlp", hidden_sizes=(16,), norm="batch", dropout=0.2, aggregate="attention", attention_size=16)


def accuracy(model: FoldModel, part: PartData) -> float:
    found_SC, _ = model.predict_slides(part.features_ND, part.tile_slide_N, part.num_slides)
    return float((found_SC.argmax(axis=1) == part.labels_S).mean())


def needles(rng: np.random.Generator, num_slides: int) -> tuple[PartData, np.ndarray]:
    """Slides of twenty tiles of noise, one of which tells the class; and which tiles these are."""
    bags, where = {}, []
    for number in range(num_slides):
        tiles = rng.normal(size=(20, 16))
        needle = rng.integers(20)
        tiles[needle, number % 2] += 6.0
        bags[f"s{number:03d}"] = tiles.astype(np.float32)
        where.append(20 * number + needle)
    return PartData.of(bags, {name: number % 2 for number, name in enumerate(bags)}), np.array(where)


def test_one_tile_in_twenty_is_found() -> None:
    rng = np.random.default_rng(0)
    (train, _), (validation, _), (fresh, where) = needles(rng, 80), needles(rng, 40), needles(rng, 200)
    data = FeatureData(("A", "B"), train, validation)
    weighed, _ = train_head(data, ATTENTION, TrainingConfig(), seed=0)
    plain, _ = train_head(data, HeadConfig(), TrainingConfig(), seed=0)
    assert accuracy(weighed, fresh) > 0.95
    assert accuracy(plain, fresh) < 0.8
    weights_N = weighed.attention_N(fresh.features_ND, fresh.tile_slide_N, fresh.num_slides)
    assert weights_N[where].mean() > 0.5, "the tile that tells it counts more than the other nineteen"


@pytest.mark.parametrize("name", ["additive_attention", "clam_sb", "clam_mb", "dsmil"])
def test_other_attention_finds_the_tile_too(name: Aggregator) -> None:
    rng = np.random.default_rng(0)
    (train, _), (validation, _), (fresh, where) = needles(rng, 80), needles(rng, 40), needles(rng, 100)
    head = HeadConfig(aggregate=name, **({"embedding_size": 32} if name.startswith("clam") else {}))
    model, history = train_head(FeatureData(("A", "B"), train, validation), head, TrainingConfig(epochs=25), seed=0)
    assert accuracy(model, fresh) > 0.9
    own = [model.attention_N(fresh.features_ND, fresh.tile_slide_N, 100, label) for label in (0, 1)]
    weights_N = np.where(fresh.labels_S[fresh.tile_slide_N] == 0, *own)
    assert weights_N[where].mean() > 0.5
    assert history.rows[-1].train_loss < history.rows[0].train_loss


def test_a_transformer_learns_from_the_tile_too() -> None:
    rng = np.random.default_rng(0)
    (train, _), (validation, _), (fresh, _) = needles(rng, 80), needles(rng, 40), needles(rng, 100)
    head = HeadConfig(aggregate="transmil", embedding_size=32)
    model, _ = train_head(FeatureData(("A", "B"), train, validation), head, TrainingConfig(epochs=15), seed=0)
    assert accuracy(model, fresh) > 0.8


@pytest.mark.parametrize("head", [ATTENTION, HeadConfig(dropout=0.3)], ids=["attention", "mean"])
def test_the_model_of_several_seeds_is_the_mean_of_their_models(
    cohort: Cohort, head: HeadConfig, tmp_path: Path
) -> None:
    data, config = cohort(), TrainingConfig(epochs=6)
    together, history = train_head(data, head, config.model_copy(update={"num_seeds": 3}), seed=4)
    together.save(tmp_path)
    back = FoldModel.load(tmp_path)
    part = data.validation
    inputs = (part.features_ND, part.tile_slide_N, part.num_slides)
    alone = [train_head(data, head, config, seed=seed)[0] for seed in (4, derived_seed(4, 1), derived_seed(4, 2))]
    slides_MSC = [one.predict_slides(*inputs)[0] for one in alone]
    assert not np.array_equal(slides_MSC[0], slides_MSC[1])
    np.testing.assert_allclose(back.predict_slides(*inputs)[0], np.mean(slides_MSC, axis=0), rtol=1e-5)
    tiles_MNC = [one.predict_tiles(part.features_ND) for one in alone]
    np.testing.assert_allclose(back.predict_tiles(part.features_ND), np.mean(tiles_MNC, axis=0), rtol=1e-5)
    if head.attends:
        weights_MN = [one.attention_N(*inputs) for one in alone]
        np.testing.assert_allclose(back.attention_N(*inputs), np.mean(weights_MN, axis=0), rtol=1e-6)
    assert [(row.seed, row.epoch) for row in history.rows] == [(seed, 1 + i) for seed in range(3) for i in range(6)]
    assert len(history.summary["kept_epochs"]) == 3
    history.write(tmp_path / "history.csv")
    assert (tmp_path / "history.csv").read_text("utf-8").startswith("epoch,train_loss,validation_loss,")
    assert ",kept,seed\n1," in (tmp_path / "history.csv").read_text("utf-8")


@pytest.mark.parametrize("head", [MLP, HeadConfig(dropout=0.3)], ids=["attention", "mean"])
def test_seeds_side_by_side_are_those_one_after_the_other(
    cohort: Cohort, head: HeadConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the bit, on one processor or several, and however many seeds there are."""
    data, models = cohort(), []
    for num_processors, num_seeds in ((1, 4), (3, 4), (3, 2)):
        monkeypatch.setattr(head_training, "default_threads", lambda num=num_processors: num)
        config = TrainingConfig(epochs=4, num_seeds=num_seeds)
        models.append(train_head(data, head, config, seed=4))
    (one, history), (beside, history_beside), (fewer, _) = models
    assert history == history_beside
    assert one.weights.keys() == beside.weights.keys()
    assert all(np.array_equal(one.weights[key], beside.weights[key]) for key in one.weights)
    assert all(np.array_equal(one.weights[key], fewer.weights[key]) for key in fewer.weights)
    assert len(fewer.weights) == len(one.weights) // 2
    assert torch.get_num_threads() == 1


def test_a_seed_that_fails_beside_others_is_named(cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_training, "default_threads", lambda: 2)
    config = TrainingConfig(learning_rate=10.0, weight_decay=100.0, num_seeds=3)
    with pytest.raises(TrainingError, match=r"fold 4, seed 0: the loss is (nan|inf)"):
        train_head(cohort(), ATTENTION, config, seed=0, name="fold 4")


def test_seeds_are_refused_where_they_would_have_no_effect() -> None:
    with pytest.raises(RecipeError, match=r"training\.num_seeds averages heads on features"):
        load_recipe("default", overrides=["training.input=tiles", "training.num_seeds=3"])
    with pytest.raises(RecipeError, match=r"training\.num_seeds has no effect with head\.kind=lda"):
        load_recipe("default", overrides=["training.num_seeds=3"])


@pytest.mark.parametrize("head", [ATTENTION, MLP], ids=["linear", "mlp"])
def test_same_seed_same_bytes(cohort: Cohort, head: HeadConfig, tmp_path: Path) -> None:
    state = torch.random.get_rng_state()
    for name, seed in {"a": 3, "b": 3, "c": 4}.items():
        model, history = train_head(cohort(), head, TrainingConfig(epochs=6), seed=seed)
        model.save(tmp_path / name)
        history.write(tmp_path / name / "history.csv")
    assert torch.equal(torch.random.get_rng_state(), state)
    for name in ("model.safetensors", "model.json", "history.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert (tmp_path / "a" / "model.safetensors").read_bytes() != (tmp_path / "c" / "model.safetensors").read_bytes()


def test_the_best_epoch_on_select_is_kept_and_scored_as_it_predicts(cohort: Cohort) -> None:
    data = cohort(train=(6, 5, 4), validation=(10, 10, 10), strength=0.6)
    config = TrainingConfig.model_validate({"epochs": 80, "patience": 7, "loss": {"class_weights": "none"}})
    model, history = train_head(data, ATTENTION, config, seed=0)
    losses = [row.validation_loss for row in history.rows]
    assert history.kept_epoch == int(np.argmin(losses)) + 1 == len(history.rows) - 7
    found_SC, _ = model.predict_slides(data.validation.features_ND, data.validation.tile_slide_N, 30)
    assert -np.log(found_SC[np.arange(30), data.validation.labels_S]).mean() == pytest.approx(min(losses), rel=1e-4)


def test_without_a_select_part_the_last_epoch_is_kept(cohort: Cohort) -> None:
    _, history = train_head(cohort(validation=(0, 0, 0)), ATTENTION, TrainingConfig(epochs=4, patience=1), seed=0)
    assert history.kept_epoch == 4


@pytest.mark.parametrize("num_slides", [2, 3, 5])
def test_no_batch_has_a_single_slide(num_slides: int) -> None:
    bags = {f"s{i}": np.full((1, 4), i, dtype=np.float32) for i in range(num_slides)}
    data = FeatureData(("A", "B"), PartData.of(bags, {name: i % 2 for i, name in enumerate(bags)}), PartData.of({}, {}))
    train_head(data, MLP, TrainingConfig(batch_size=2, epochs=2), seed=0)


def test_a_batch_holds_its_slides_whole_and_one_may_come_twice(cohort: Cohort) -> None:
    data = cohort()
    samples = BagSamples(data, ATTENTION, TrainingConfig(), torch.Generator().manual_seed(0))
    train, asked = data.train, [5, 0, 5]
    tiles = samples.tiles(torch.tensor(asked)).numpy()
    expected = [np.flatnonzero(train.tile_slide_N == slide) for slide in asked]
    np.testing.assert_array_equal(tiles, np.concatenate(expected))
    vectors_BD = samples.vectors(torch.tensor(asked))[0].detach()
    inputs_ND = samples.standardisation.apply(train.features_ND)
    np.testing.assert_allclose(vectors_BD, [inputs_ND[own].mean(axis=0) for own in expected], rtol=1e-4, atol=1e-5)


def test_a_loss_that_is_not_finite_names_fold_step_and_slides(cohort: Cohort) -> None:
    config = TrainingConfig(learning_rate=10.0, weight_decay=100.0)
    with pytest.raises(TrainingError, match=r"fold 4: the loss is (nan|inf) at epoch \d+, step \d+, .*slides t\d_\d+"):
        train_head(cohort(), ATTENTION, config, seed=0, name="fold 4")


@pytest.mark.parametrize(
    "changed",
    [
        {"loss": {"kind": "focal"}},
        {"loss": {"class_weights": "none"}},
        {"loss": {"l2": 0.01}},
        {"optimizer": {"kind": "ranger"}},
        {"schedule": {"kind": "plateau", "plateau_patience": 0, "plateau_improvement": 1.0}},
        {"mixup": {"level": "features"}},
        {"sampling": {"balance": "class"}, "loss": {"class_weights": "none"}},
        {"sampling": {"balance": "rare"}, "loss": {"class_weights": "none"}},
        {"batch_size": 4},
        {"step": {"accumulate": 3}},
        {"step": {"clip_norm": 0.001}},
        {"step": {"ema_decay": 0.9}},
    ],
    ids=str,
)
def test_every_choice_trains_another_head_that_still_learns(cohort: Cohort, changed: dict) -> None:
    data = cohort(strength=2.0)
    plain, _ = train_head(data, ATTENTION, TrainingConfig(epochs=20), seed=0)
    config = TrainingConfig.model_validate({"epochs": 20, **changed})
    model, history = train_head(data, ATTENTION, config, seed=0)
    for name in ("head.0.weight", "attention.score.weight", "attention.gate.weight"):
        assert not np.array_equal(model.weights[name], plain.weights[name])
    assert np.isfinite([row.train_loss for row in history.rows]).all()
    found_SC, _ = model.predict_slides(
        data.validation.features_ND, data.validation.tile_slide_N, data.validation.num_slides
    )
    assert f1_score(data.validation.labels_S, found_SC.argmax(axis=1), average="macro") > 0.6


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["training.input=tiles"], "head.aggregate=attention takes features, .* set training.input=features"),
        (["training.weight=tile"], "training.weight has no effect with head.aggregate=attention"),
        (["training.sampling.unit=slide"], "training.sampling.unit has no effect with head.aggregate=attention"),
    ],
)
def test_what_whole_slides_cannot_do_is_refused(settings: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe("texture", ["head.aggregate=attention", *settings])
    assert load_recipe("texture", ["head.aggregate=attention", "head.attention_size=64"]).head.attention_size == 64


@pytest.mark.parametrize("name", ["attention", "clam_mb"])
def test_large_batches_go_in_parts_with_the_gradients_of_the_whole(
    cohort: Cohort, name: Aggregator, monkeypatch: pytest.MonkeyPatch
) -> None:
    gradients = []
    for limit in (10**6, 20):
        monkeypatch.setattr("tilewise.training.bags._TILES_AT_ONCE", limit)
        samples = BagSamples(cohort(), HeadConfig(aggregate=name), TrainingConfig(), torch.Generator().manual_seed(0))
        vectors_BV, tile_loss = samples.vectors(torch.arange(12))
        generator = torch.Generator().manual_seed(1)
        loss = (vectors_BV * torch.randn(vectors_BV.shape, generator=generator)).sum()
        (loss if tile_loss is None else loss + tile_loss).backward()
        gradients.append([one.grad for one in samples.module.parameters() if one.grad is not None])
        with torch.inference_mode():
            np.testing.assert_allclose(samples.predict_validation().sum(axis=1), 1.0, rtol=1e-6)
    assert len(gradients[0]) == len(gradients[1]) > 0
    for whole, in_parts in zip(*gradients, strict=True):
        np.testing.assert_allclose(in_parts, whole, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("keys", "num"), [({"tile_dropout": 0.25}, 3), ({"max_tiles": 2}, 2), ({"max_tiles": 9}, 4)])
def test_a_step_sees_some_tiles_of_each_slide_and_prediction_all(keys: dict[str, float], num: int) -> None:
    rng = np.random.default_rng(0)
    part = PartData.of(
        {f"s{i}": rng.normal(size=(4, 3)).astype(np.float32) for i in range(6)}, {f"s{i}": i % 2 for i in range(6)}
    )
    config = TrainingConfig.model_validate({"bags": keys, "epochs": 3})
    data = FeatureData(("A", "B"), part, part)
    samples = BagSamples(data, ATTENTION, config, torch.Generator().manual_seed(0))
    draws = [samples._drawn(*samples._bags.tiles(torch.tensor([4, 1]))) for _ in range(8)]
    for tiles, places in draws:
        assert torch.bincount(places).tolist() == [num, num]
        assert torch.equal(part_of(tiles), torch.tensor([4, 1])[places])
    assert (len({tuple(tiles.tolist()) for tiles, _ in draws}) > 1) == (num < 4)
    with torch.inference_mode():
        np.testing.assert_allclose(samples.predict_validation(), 0.5, rtol=1e-6)
    first, second = (train_head(data, ATTENTION, config, seed=1)[0].weights for _ in range(2))
    assert all(first[key].tobytes() == second[key].tobytes() for key in first)
    if num < 4:
        plain = train_head(data, ATTENTION, TrainingConfig(epochs=3), seed=1)[0].weights
        assert any(first[key].tobytes() != plain[key].tobytes() for key in first)


def part_of(tiles: torch.Tensor) -> torch.Tensor:
    return tiles // 4


def test_tiles_of_bags_are_refused_where_they_would_have_no_effect() -> None:
    with pytest.raises(RecipeError, match=r"training\.bags has no effect with head\.aggregate=mean"):
        load_recipe("texture", ["training.bags.max_tiles=5"])
    with pytest.raises(RecipeError, match=r"head\.tile_weights=mask_ratio is for heads on features"):
        load_recipe(
            "default",
            ["training.input=tiles", "head.kind=linear", "head.aggregate=mean", "head.tile_weights=mask_ratio"],
        )
    assert (
        load_recipe("texture", ["head.aggregate=clam_sb", "training.bags.tile_dropout=0.3"]).training.bags.tile_dropout
        == 0.3
    )
