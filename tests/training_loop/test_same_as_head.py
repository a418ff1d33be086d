"""What the defaults mean, spelled out in plain torch: the head's training gives the same bits."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.training.conftest import CLASSES, part
from tilewise.compute import reproducible
from tilewise.models import HeadConfig, Standardisation
from tilewise.models.heads import build_head
from tilewise.training import TrainingConfig
from tilewise.training.data import FeatureData, PartData
from tilewise.training.head import train_head
from tilewise.training.tile_weights import class_totals, tile_weights
from tilewise.training_loop import inverse_frequency_weights


@pytest.mark.parametrize(
    "head", [HeadConfig(), HeadConfig(kind="mlp", norm="batch", dropout=0.2)], ids=["linear", "mlp"]
)
def test_defaults_are_adamw_on_weighted_cross_entropy_with_a_cosine(head: HeadConfig) -> None:
    train = part(np.random.default_rng(0), (24, 12, 6), 1.0, "t")
    config = TrainingConfig(epochs=6)
    model, history = train_head(FeatureData(CLASSES, train, PartData.of({}, {})), head, config, seed=5)
    with reproducible(1):
        weights, rates = plainly(train, head, num_epochs=6)
    assert rates == [row.learning_rate for row in history.rows]
    assert model.weights.keys() == weights.keys()
    for name, array in model.weights.items():
        np.testing.assert_array_equal(weights[name], array, err_msg=name)


def test_smoothed_labels_are_weighed_by_class_as_in_torch() -> None:
    train, head = part(np.random.default_rng(0), (24, 12, 6), 1.0, "t"), HeadConfig()
    config = TrainingConfig.model_validate({"epochs": 2, "loss": {"label_smoothing": 0.2}})
    model, _ = train_head(FeatureData(CLASSES, train, PartData.of({}, {})), head, config, seed=5)
    with reproducible(1):
        weights, _ = plainly(train, head, num_epochs=2, smoothing=0.2)
    for name, array in model.weights.items():
        np.testing.assert_allclose(array, weights[name], rtol=1e-4, atol=1e-6, err_msg=name)


def plainly(train: PartData, head: HeadConfig, num_epochs: int, smoothing: float = 0.0) -> tuple[dict, list[float]]:
    generator = torch.Generator().manual_seed(5)
    shares = tile_weights(train, "slide")
    inputs = torch.from_numpy(Standardisation.fit(train.features_ND, shares).apply(train.features_ND).astype("f4"))
    labels = train.labels_S[train.tile_slide_N]
    per_class = inverse_frequency_weights(class_totals(train, 3, "slide"), "inverse")
    weights = torch.from_numpy((shares / (shares * per_class[labels]).mean()).astype("f4"))
    weight, labels = torch.from_numpy(per_class.astype("f4")), torch.from_numpy(labels)
    module = build_head(head, num_features=12, num_classes=3, generator=generator)
    factors = {p: 1 / math.sqrt(p.shape[1]) if p.ndim == 2 else 1.0 for m in module.modules() for p in m.parameters()}
    groups = [{"params": [p], "weight_decay": 0.05 / f if p.ndim == 2 else 0.0} for p, f in factors.items()]
    optimizer, rates = torch.optim.AdamW(groups, fused=True), []
    num_batches = math.ceil(len(labels) / max(32, math.ceil(len(labels) / 8)))
    num_steps = num_epochs * num_batches
    for step in range(num_steps):
        rate = 0.05 * 0.5 * (1.0 + math.cos(math.pi * step / num_steps))
        if step % num_batches == 0:
            rates.append(rate)
            order = torch.randperm(len(labels), generator=generator).tensor_split(num_batches)
        tiles = order[step % num_batches]
        for group, factor in zip(optimizer.param_groups, factors.values(), strict=True):
            group["lr"] = rate * factor
        losses = torch.nn.functional.cross_entropy(
            module(inputs[tiles]), labels[tiles], weight=weight, label_smoothing=smoothing, reduction="none"
        )
        optimizer.zero_grad()
        (losses * weights[tiles]).mean().backward()
        optimizer.step()
    return {name: tensor.numpy() for name, tensor in module.state_dict().items()}, rates
