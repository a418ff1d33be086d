"""Heads: their layers, their weights, and where their randomness comes from."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from tilewise.models import HeadConfig
from tilewise.models.heads import SeededDropout, build_head


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
    ],
)
def test_layers(config: dict[str, object], expected: list[str]) -> None:
    head = build_head(HeadConfig.model_validate(config), num_features=5, num_classes=3)
    assert kinds(head) == expected
    assert head(torch.ones(4, 5)).shape == (4, 3)


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


@pytest.mark.parametrize(
    "config",
    [{"hidden_sizes": [64]}, {"kind": "mlp", "hidden_sizes": []}, {"dropout": 1.0}, {"kind": "svm"}, {"size": 3}],
)
def test_configs_that_make_no_head_are_refused(config: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        HeadConfig.model_validate(config)


def test_config_survives_its_own_dump() -> None:
    for config in (HeadConfig(), HeadConfig(kind="mlp", hidden_sizes=(7, 3), norm="batch", dropout=0.5)):
        assert HeadConfig.model_validate(config.model_dump(mode="json")) == config
