"""The loss against the formula of the paper, and what of a network takes part."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.training.networks.drawn import cnn
from tests.training.pretrain.drawn import simclr
from tilewise.models import HeadConfig
from tilewise.models.networks import TileBatch
from tilewise.training.pretrain.simclr import SimCLR, nt_xent


def by_the_paper(vectors: np.ndarray, temperature: float) -> float:
    """Equation 1 of Chen et al. (2020), pair by pair, both ways, over views that lie next to each other there."""
    num = len(vectors) // 2
    total = 0.0
    for i in range(2 * num):
        j = (i + num) % (2 * num)
        alike = [
            float(vectors[i] @ vectors[k] / np.linalg.norm(vectors[i]) / np.linalg.norm(vectors[k]))
            for k in range(2 * num)
        ]
        others = sum(math.exp(alike[k] / temperature) for k in range(2 * num) if k != i)
        total -= math.log(math.exp(alike[j] / temperature) / others)
    return total / (2 * num)


@given(num=st.integers(1, 7), length=st.integers(2, 9), temperature=st.floats(0.05, 5.0), seed=st.integers(0, 999))
def test_the_loss_is_that_of_the_paper(num: int, length: int, temperature: float, seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(2 * num, length))
    loss, _ = nt_xent(torch.from_numpy(vectors.astype(np.float32)), temperature)
    assert loss.item() == pytest.approx(by_the_paper(vectors, temperature), rel=1e-3, abs=1e-4)


def test_views_that_are_all_alike_give_what_guessing_gives() -> None:
    loss, _ = nt_xent(torch.ones(10, 4), 0.1)
    assert loss.item() == pytest.approx(math.log(9))


def test_partners_alike_and_others_not_are_found() -> None:
    loss, matched = nt_xent(torch.eye(4).repeat(2, 1), 0.05)
    assert (loss.item(), matched.item()) == (pytest.approx(0.0, abs=1e-6), 1.0)
    # The same views, partners taken for each other.
    loss, matched = nt_xent(torch.cat([torch.eye(4), torch.eye(4).roll(1, dims=0)]), 0.05)
    assert loss.item() > 10
    assert matched.item() == 0.0


def test_the_length_of_vectors_does_not_count_and_the_gradient_is_finite() -> None:
    vectors = torch.randn(8, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    loss, _ = nt_xent(vectors, 0.2)
    loss.backward()
    assert torch.isfinite(vectors.grad).all()
    longer, _ = nt_xent(vectors.detach() * torch.arange(1.0, 9.0)[:, None], 0.2)
    assert longer.item() == pytest.approx(loss.item(), rel=1e-5)


def test_all_of_the_encoder_is_trained_and_nothing_of_the_head() -> None:
    network = cnn(HeadConfig(kind="mlp", hidden_sizes=(8,), norm="batch", dropout=0.5), trained="frozen")
    model = SimCLR(network, simclr(projection_hidden=24, projection_dim=7), seed=0)
    layers = [layer for layer in model.projection if isinstance(layer, torch.nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in layers] == [(32, 24), (24, 7)]
    trained = {id(one) for group in model.parameter_groups(1e-3, 0.1) for one in group["params"]}
    names = {name for name, one in model.named_parameters() if id(one) in trained}
    assert names == {name for name, _ in model.named_parameters() if not name.startswith("network.head.")}
    assert all(dict(model.named_parameters())[name].requires_grad for name in names)
    images = torch.randint(0, 255, (4, 1, 3, 32, 32), dtype=torch.uint8)
    loss, _ = nt_xent(model(TileBatch(images)), 0.5)
    loss.backward()
    assert all(one.grad is not None for one in network.encoder.parameters())
    assert all(one.grad is None for one in network.head.parameters())


def test_the_projection_depends_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first, second, other = (SimCLR(cnn(), simclr(), seed=seed).projection[0].weight for seed in (0, 0, 1))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert first.shape == (32, 32)  # left out: as wide as the features
    assert torch.equal(torch.random.get_rng_state(), before)
