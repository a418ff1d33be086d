"""The head's own loop, written with these pieces, gives the same bits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.training.conftest import CLASSES, part
from tilewise.models import HeadConfig, Standardisation
from tilewise.models.heads import build_head
from tilewise.models.threads import reproducible
from tilewise.training import TrainingConfig
from tilewise.training.data import FeatureData, PartData
from tilewise.training.head import _num_batches, _optimizer, train_head
from tilewise.training.learning import (
    Loss,
    LossConfig,
    OptimizerConfig,
    Sampler,
    SamplingConfig,
    ScheduleConfig,
    balance,
    build_optimizer,
    build_schedule,
    hard_targets,
)
from tilewise.training.weights import class_totals, slide_shares


@pytest.mark.parametrize(
    "head", [HeadConfig(), HeadConfig(kind="mlp", norm="batch", dropout=0.2)], ids=["linear", "mlp"]
)
def test_defaults_train_to_the_same_bits(head: HeadConfig) -> None:
    train = part(np.random.default_rng(0), (24, 12, 6), 1.0, "t")
    config = TrainingConfig(epochs=6)
    expected, history = train_head(FeatureData(CLASSES, train, PartData.of({}, {})), head, config, seed=5)
    with reproducible(config.num_threads):
        weights, rates = train_with_pieces(train, head, config)
    assert rates == [row.learning_rate for row in history.rows]
    for name, array in expected.weights.items():
        np.testing.assert_array_equal(weights[name], array, err_msg=name)


def train_with_pieces(train: PartData, head: HeadConfig, config: TrainingConfig) -> tuple[dict, list[float]]:
    generator = torch.Generator().manual_seed(5)
    shares = slide_shares(train, config.weight)
    scaling = Standardisation.fit(train.features_ND, shares)
    inputs = torch.from_numpy(scaling.apply(train.features_ND).astype(np.float32))
    labels = train.labels_S[train.tile_slide_N]
    weights = shares * balance(LossConfig(), class_totals(train, 3, config.weight))[labels]
    weights = torch.from_numpy((weights / weights.mean()).astype(np.float32))
    targets = hard_targets(torch.from_numpy(labels), 3)
    module = build_head(head, num_features=12, num_classes=3, generator=generator)
    groups = [
        {key: group[key] for key in ("params", "factor", "weight_decay")}
        for group in _optimizer(module, config).param_groups
    ]
    optimizer = build_optimizer(OptimizerConfig(), groups, learning_rate=config.learning_rate)
    num_batches = _num_batches(len(labels), config.batch_size)
    schedule = build_schedule(
        ScheduleConfig(),
        optimizer,
        learning_rate=config.learning_rate,
        num_epochs=config.epochs,
        steps_per_epoch=num_batches,
    )
    loss, sampler, rates = Loss(LossConfig()), Sampler(SamplingConfig(), train.labels_S, train.tile_slide_N), []
    module.train()
    for _ in range(config.epochs):
        rates.append(schedule.rate)
        for tiles in sampler.draw(generator).tensor_split(num_batches):
            schedule.begin_step()
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss(module(inputs[tiles]), targets[tiles], weights[tiles]))
            optimizer.step()
    return {name: tensor.numpy() for name, tensor in module.state_dict().items()}, rates
