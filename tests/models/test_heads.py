"""Heads: their layers, their weights, and where their randomness comes from."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from tilewise.models import HeadConfig
from tilewise.models.heads import SeededDropout, build_head
from tilewise.training import TrainingConfig
from tilewise.training.data import FeatureData, PartData
from tilewise.training.head import train_head


def kinds(head: nn.Sequential) -> list[str]:
    return [type(layer).__name__ for layer in head]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, ["Linear"]),
        ({"norm": "batch", "dropout": 0.5}, ["BatchNorm1d", "SeededDropout", "Linear"]),
        ({"kind": "mlp"}, ["Linear", "ReLU", "Linear"]),
        (
            {"kind": "mlp", "norm": "batch", "dropout": 0.1},
            ["BatchNorm1d", "SeededDropout", "Linear", "ReLU", "SeededDropout", "Linear"],
        ),
        (
            {"kind": "mlp", "norm": "batch", "hidden_sizes": [8, 4]},
            ["BatchNorm1d", "Linear", "ReLU", "BatchNorm1d", "Linear", "ReLU", "Linear"],
        ),
        ({"norm": "layer"}, ["LayerNorm", "Linear"]),
        (
            {"kind": "mlp", "norm": "group", "activation": "silu", "dropout": 0.1, "hidden_sizes": [8, 4]},
            [*["GroupNorm", "SeededDropout", "Linear", "SiLU"] * 2, "SeededDropout", "Linear"],
        ),
    ],
)
def test_layers(config: dict[str, object], expected: list[str]) -> None:
    head = build_head(HeadConfig.model_validate(config), num_features=5, num_classes=3)
    assert kinds(head) == expected
    assert head(torch.ones(4, 5)).shape == (4, 3)


@given(st.integers(1, 5000))
def test_groups_divide_the_inputs_and_are_large_enough(num_features: int) -> None:
    head = build_head(HeadConfig(norm="group"), num_features=num_features, num_classes=2)
    groups = head[0].num_groups
    assert num_features % groups == 0
    assert groups <= 32
    assert groups == 1 or num_features // groups >= 4
    if num_features % 128 == 0:
        assert groups == 32


def test_norms_are_what_their_papers_say() -> None:
    inputs = np.random.default_rng(0).normal(3.0, 2.0, (6, 32)).astype(np.float32)
    for norm, shape in {"layer": (6, 1, 32), "group": (6, 8, 4), "batch": (1, 6, 32)}.items():
        layer = build_head(HeadConfig(norm=norm), num_features=32, num_classes=2)[0]
        parts = inputs.astype(np.float64).reshape(shape)
        axis = 1 if norm == "batch" else 2
        expected = (parts - parts.mean(axis, keepdims=True)) / np.sqrt(parts.var(axis, keepdims=True) + 1e-5)
        np.testing.assert_allclose(
            layer(torch.from_numpy(inputs)).detach().numpy(), expected.reshape(6, 32), atol=1e-5, err_msg=norm
        )


@pytest.mark.parametrize("norm", ["layer", "group"])
def test_the_trainer_on_features_takes_every_norm(norm: Literal["layer", "group"]) -> None:
    rng = np.random.default_rng(0)
    bags = {f"s{index}": rng.normal(size=(3, 40)).astype(np.float32) for index in range(8)}
    part = PartData.of(bags, {name: index % 3 for index, name in enumerate(bags)})
    head = HeadConfig(kind="mlp", hidden_sizes=(16,), norm=norm, activation="silu", dropout=0.1)
    data = FeatureData(("A", "B", "C"), part, PartData.of({}, {}))
    model, _ = train_head(data, head, TrainingConfig(epochs=60, weight_decay=0.0), seed=0)
    probabilities_SC, _ = model.predict_slides(part.features_ND, part.tile_slide_N, part.num_slides)
    assert (probabilities_SC.argmax(axis=1) == part.labels_S).all()


def test_training_starts_from_equal_probabilities() -> None:
    for kind in ("linear", "mlp"):
        head = build_head(HeadConfig(kind=kind), num_features=5, num_classes=3, generator=torch.Generator())
        assert torch.equal(head(torch.randn(4, 5)), torch.zeros(4, 3))


def test_weights_come_from_the_generator_and_leave_the_global_one_alone() -> None:
    before = torch.random.get_rng_state()
    first, again, other = (
        build_head(HeadConfig(kind="mlp"), num_features=9, num_classes=2, generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first[0].weight, again[0].weight)
    assert not torch.equal(first[0].weight, other[0].weight)
    assert first[0].weight.abs().max() <= 1 / 3
    assert first[0].weight.abs().max() > 0.3


def test_dropout_keeps_the_mean_and_rests_outside_training() -> None:
    dropout = SeededDropout(0.25, torch.Generator().manual_seed(0))
    inputs = torch.ones(400, 100)
    dropped = dropout(inputs)
    assert dropped.unique().tolist() == [0.0, pytest.approx(4 / 3)]
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.02)
    assert torch.equal(dropout.eval()(inputs), inputs)


@pytest.mark.parametrize("probability", [0.001, 0.3, 0.5, 0.9])
def test_each_input_is_dropped_by_itself(probability: float) -> None:
    """Several decisions come of one random number; neighbours, and the same place of other rows, must not show it."""
    is_used = SeededDropout(probability, torch.Generator().manual_seed(1))(torch.ones(999, 101)) > 0
    rate, num = is_used.double().mean().item(), is_used.numel()
    spread = (probability * (1 - probability) / num) ** 0.5
    assert abs(rate - (1 - probability)) < 4 * spread
    flat = is_used.flatten().double() - rate
    for apart in (1, 2, 3, 4, 101):
        together = (flat[apart:] * flat[:-apart]).mean().item()
        assert abs(together) < 4 * probability * (1 - probability) / num**0.5


def test_next_to_everything_dropped_is_still_finite() -> None:
    dropped = SeededDropout(0.999999, torch.Generator().manual_seed(0))(torch.ones(7, 3))
    assert torch.isfinite(dropped).all()


@pytest.mark.parametrize(
    "config",
    [
        {"hidden_sizes": [64]},
        {"activation": "silu"},
        {"norm": "instance"},
        {"kind": "mlp", "hidden_sizes": []},
        {"dropout": 1.0},
        {"kind": "svm"},
        {"size": 3},
    ],
)
def test_configs_that_make_no_head_are_refused(config: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        HeadConfig.model_validate(config)


def test_config_survives_its_own_dump() -> None:
    for config in (HeadConfig(), HeadConfig(kind="mlp", hidden_sizes=(7, 3), norm="batch", dropout=0.5)):
        assert HeadConfig.model_validate(config.model_dump(mode="json")) == config
