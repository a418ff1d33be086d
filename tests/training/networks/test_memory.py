"""A budget of memory changes how a batch is computed, and not what is learnt."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from tests.models.networks.made import small_card, small_network
from tests.training.networks.drawn import cnn, draw_data
from tilewise.models import HeadConfig
from tilewise.models.networks import TileNetwork
from tilewise.models.networks.trained import normalises_by_batch
from tilewise.training.networks import objective
from tilewise.training.networks.engine import Engine
from tilewise.training.networks.memory import MemoryPlan, plan_memory, recompute_activations
from tilewise.training.networks.train import train_network
from tilewise.training.networks.worker import Worker
from tilewise.training_config.training import TrainingConfig


def config(**changes: Any) -> TrainingConfig:
    fast = {
        "input": "tiles",
        "epochs": 2,
        "batch_size": 16,
        "learning_rate": 1e-3,
        "num_threads": 1,
        "patience": "never",
        "optimizer": {"kind": "sgd"},
        "loss": {"class_weights": "inverse", "label_smoothing": 0.1, "l2": 0.01},
        "mixup": {"level": "tiles", "mixup_alpha": 0.4},
        "engine": {"device": "cpu"},
    }
    return TrainingConfig.model_validate(fast | changes)


def trained(network: TileNetwork, plan: MemoryPlan, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> tuple[Any, Any]:
    monkeypatch.setattr(objective, "plan_memory", lambda *args, **more: plan)
    # 5 slides of 7 tiles: 35 tiles in batches of 12, 12 and 11, which no number of parts divides.
    data, _, _ = draw_data(5, 2, num_tiles=7, side=network.card.input_px)
    return train_network(copy.deepcopy(network), data, config(**changes), seed=0)


def assert_same(one: tuple[Any, Any], other: tuple[Any, Any]) -> None:
    for name, array in one[0].weights.items():
        np.testing.assert_allclose(array, other[0].weights[name], rtol=2e-4, atol=2e-6, err_msg=name)
    for row, other_row in zip(one[1].rows, other[1].rows, strict=True):
        assert row.train_loss == pytest.approx(other_row.train_loss, rel=1e-4)
        assert row.learning_rate == other_row.learning_rate


@pytest.mark.parametrize("family", ["vit", "convnext"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_parts_of_a_batch_make_the_same_steps(family: str, accumulate: int, monkeypatch: pytest.MonkeyPatch) -> None:
    network = small_network(family)
    step = {"accumulate": accumulate, "clip_norm": 1.0}
    whole = trained(network, MemoryPlan(), monkeypatch, step=step)
    start = {name: tensor.numpy().copy() for name, tensor in network.state_dict().items()}
    assert any(abs(whole[0].weights[name] - start[name]).max() > 1e-4 for name in start)
    for num_parts in (3, 5):
        assert_same(trained(network, MemoryPlan(num_parts), monkeypatch, step=step), whole)


@pytest.mark.parametrize("family", ["vit", "convnext", "resnet"])
def test_activations_computed_twice_make_the_same_steps(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = small_network(family)
    whole = trained(network, MemoryPlan(), monkeypatch)
    again = trained(network, MemoryPlan(num_chunks=4), monkeypatch)
    assert_same(again, whole)
    for name, array in whole[0].weights.items():  # BatchNorm's statistics took each batch in once
        if "num_batches_tracked" in name:
            assert array == again[0].weights[name] > 0


def engine(network: TileNetwork, **changes: Any) -> Engine:
    return Engine(network, config(**changes), Worker(), np.ones(2))


@pytest.mark.parametrize("family", ["resnet", "vit"])
def test_recomputing_keeps_less_of_a_batch(family: str) -> None:
    data, _, _ = draw_data(4, 2, num_tiles=4, side=small_card(family).input_px)
    batch = data.train.batch(np.arange(8))
    one, other = (engine(small_network(family)) for _ in range(2))
    recompute_activations(other.network, 4)
    peaks = []
    for made in (one, other):
        saved: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor, saved=saved: saved.append(1) or tensor, lambda x: x
        ):
            made.network(batch)
        peaks.append(len(saved))
    assert peaks[1] < 0.5 * peaks[0]


def test_frozen_blocks_keep_nothing_for_gradients() -> None:
    data, _, _ = draw_data(4, 2, num_tiles=4, side=32)
    batch = data.train.batch(np.arange(8))
    sizes = {}
    for trained_part in ("frozen", "last", "all"):
        made = engine(small_network("convnext", trained=trained_part))
        made.start_epoch(0, 0)
        sizes[trained_part] = made.saved_bytes(batch)
    features = 8 * made.network.card.dim * 4
    assert sizes["frozen"] <= 4 * features  # the head's own
    assert sizes["frozen"] < sizes["last"] < 0.7 * sizes["all"]


def test_measuring_changes_nothing() -> None:
    made = engine(small_network("resnet"))
    made.start_epoch(0, 0)
    before = {name: tensor.clone() for name, tensor in made.network.state_dict().items()}
    state = torch.get_rng_state()
    data, _, _ = draw_data(4, 2, num_tiles=4, side=32)
    few, more = (made.saved_bytes(data.train.batch(np.arange(num))) for num in (2, 4))
    assert 1.9 < more / few <= 2.0
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[name], tensor) for name, tensor in made.network.state_dict().items())


def plan(network: TileNetwork, per_tile: float, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> MemoryPlan:
    """The plan for 32 tiles that keep so many GiB each."""
    made = engine(network, **changes)
    monkeypatch.setattr(made, "saved_bytes", lambda batch: int(len(batch) * per_tile * 2**30))
    data, _, _ = draw_data(2, 1, num_tiles=4, side=network.card.input_px)
    whole = config(**changes)
    return plan_memory(made, whole, data.train.batch(np.arange(3)), batch_size=32, least_size=30)


def test_the_plan_follows_from_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    four = {"engine": {"device": "cpu", "memory_gib": 4.0}}
    vit = small_network("vit")
    assert plan(vit, 1.0, monkeypatch) == MemoryPlan()  # no budget
    assert plan(vit, 0.05, monkeypatch, **four) == MemoryPlan()
    # 4 GiB, less the process and tiles, hold about 2.8 GiB, which is 10 tiles with what gradients take beside.
    assert plan(vit, 0.2, monkeypatch, **four) == MemoryPlan(4)
    assert plan(vit, 5.0, monkeypatch, **four) == MemoryPlan(30)
    resnet = small_network("resnet")
    assert plan(resnet, 0.05, monkeypatch, **four) == MemoryPlan()
    assert plan(resnet, 0.2, monkeypatch, **four) == MemoryPlan(num_chunks=7)
    mixed = {"mixup": {"level": "features", "mixup_alpha": 0.4}} | four
    assert plan(vit, 0.2, monkeypatch, **mixed) == MemoryPlan(num_chunks=7)


def test_batch_norm_that_is_frozen_does_not_look_at_the_batch() -> None:
    frozen = small_network("resnet", trained="frozen")
    frozen.start_epoch(0)
    assert not normalises_by_batch(frozen)
    assert normalises_by_batch(small_network("resnet"))
    assert normalises_by_batch(cnn(HeadConfig(norm="batch")))


def test_a_budget_is_for_one_device() -> None:
    with pytest.raises(ValueError, match=r"engine\.memory_gib is for one device"):
        config(engine={"memory_gib": 4.0, "devices": 2})
    assert config(engine={"memory_gib": 4.0}).engine.tile_megabytes == 500.0
    assert config(engine={"memory_gib": 4.0, "cache_megabytes": 10}).engine.tile_megabytes == 10.0
