"""Losses against torch's own, and against their formulas written down once more."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tilewise.training_loop import Loss, LossConfig, build_loss, class_weights, hard_targets, penalty

COUNTS = np.array([60, 25, 5])


def sample(seed: int = 0, num: int = 7, spread: float = 3.0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits, soft labels, weights."""
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(0, spread, (num, 3)))
    return logits, torch.from_numpy(rng.dirichlet(np.ones(3), num)), torch.from_numpy(rng.uniform(0, 2, num))


def by_hand(logits, targets, weights, class_weights=(1, 1, 1), smoothing=0.0, gamma=0.0) -> float:
    total = 0.0
    for row, shares, weight in zip(logits.tolist(), targets.tolist(), weights.tolist(), strict=True):
        norm = sum(math.exp(value) for value in row)
        for value, share, class_weight in zip(row, shares, class_weights, strict=True):
            p = math.exp(value) / norm
            smooth = (1 - smoothing) * share + smoothing / 3
            total -= weight * class_weight * smooth * (1 - p) ** gamma * math.log(p)
    return total / len(logits)


@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.1, 0.5]), st.sampled_from([0.0, 0.5, 2.0]))
def test_every_option_against_its_formula(seed: int, smoothing: float, gamma: float) -> None:
    logits, targets, weights = sample(seed)
    kind = {"kind": "focal", "focal_gamma": gamma} if gamma else {}
    config = LossConfig(class_weights="sqrt", label_smoothing=smoothing, **kind)
    expected = by_hand(logits, targets, weights, class_weights(config, COUNTS), smoothing, gamma)
    assert build_loss(config, COUNTS)(logits, targets, weights).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_is_torchs(smoothing: float) -> None:
    logits, targets, _ = sample()
    config = LossConfig(label_smoothing=smoothing)
    weights = torch.from_numpy(class_weights(config, COUNTS))
    ours = build_loss(config, COUNTS).each(logits, targets)
    theirs = nn.functional.cross_entropy(logits, targets, weight=weights, label_smoothing=smoothing, reduction="none")
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


def test_focal_is_torchvisions() -> None:
    from tilewise.torchvision_repair import import_repaired

    focal = import_repaired("torchvision.ops.focal_loss").sigmoid_focal_loss
    x = torch.linspace(-4, 4, 9, dtype=torch.float64)
    # Two classes with logits 0 and x are one sigmoid; torchvision's alpha below 0 means no class weights.
    theirs = focal(x, torch.ones(9, dtype=torch.float64), alpha=-1, gamma=2.0, reduction="none")
    logits = torch.stack([torch.zeros_like(x), x], dim=1)
    ours = Loss(LossConfig(kind="focal")).each(logits, hard_targets(torch.ones(9, dtype=torch.int64), 2))
    torch.testing.assert_close(ours, theirs)


def test_hard_labels_give_the_bits_of_the_plain_way() -> None:
    logits = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
    labels, weights = torch.arange(9) % 4, torch.linspace(0.1, 2.0, 9)
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss = Loss(LossConfig())(ours, hard_targets(labels, 4), weights)
    plain = (nn.functional.cross_entropy(theirs, labels, reduction="none") * weights).mean()
    torch.autograd.backward([loss, plain])
    assert loss.item() == plain.item()
    assert torch.equal(ours.grad, theirs.grad)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_focal_has_a_finite_gradient_where_all_is_right_or_all_is_wrong(gamma: float) -> None:
    logits = torch.tensor([[200.0, 0.0], [0.0, 200.0], [20.0, 0.0]], requires_grad=True)
    loss = Loss(LossConfig(kind="focal", focal_gamma=gamma))(logits, hard_targets(torch.zeros(3, dtype=torch.int64), 2))
    torch.autograd.backward(loss)
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()
    assert loss.item() == pytest.approx(200 / 3, rel=1e-4)


def test_focal_loss_passes_the_numeric_gradient_check() -> None:
    logits, targets, weights = sample(1)
    loss = build_loss(LossConfig(kind="focal", class_weights="effective"), COUNTS)
    assert torch.autograd.gradcheck(lambda x: loss(x, targets, weights), logits.requires_grad_())


@given(st.lists(st.integers(0, 500), min_size=2, max_size=6).filter(any), st.floats(0.0, 0.9999))
def test_effective_number(counts: list[int], beta: float) -> None:
    weights = class_weights(LossConfig(class_weights="effective", effective_beta=beta), np.array(counts))
    present = [n for n in counts if n]
    # The effective number is the sum 1 + beta + beta^2 + ... over the slides of a class.
    raw = [0.0 if n == 0 else 1.0 / sum(beta**i for i in range(n)) for n in counts]
    np.testing.assert_allclose(weights, np.array(raw) * len(present) / sum(raw), rtol=1e-8)


def test_beta_lies_between_no_weights_and_inverse() -> None:
    none, near = (
        class_weights(LossConfig(class_weights="effective", effective_beta=b), COUNTS) for b in (0.0, 0.999999)
    )
    np.testing.assert_allclose(none, 1.0)
    inverse = class_weights(LossConfig(), COUNTS)
    np.testing.assert_allclose(near / near[0], inverse / inverse[0], rtol=1e-3)


def test_half_precision_logits_lose_nothing_in_the_loss() -> None:
    logits, targets, weights = sample()
    half = logits.to(torch.bfloat16)
    loss = Loss(LossConfig())
    assert loss(half, targets, weights).dtype == torch.float32
    assert loss(half, targets, weights).item() == pytest.approx(loss(half.double(), targets, weights).item(), rel=1e-6)


def test_penalties_are_of_trained_weights_only() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    module[2].requires_grad_(False)
    assert penalty(LossConfig(), module.parameters()) is None
    value = penalty(LossConfig(l1=0.1, l2=0.01), module.parameters())
    weights = module[0].weight.detach().double().numpy()
    assert value.item() == pytest.approx(0.1 * np.abs(weights).sum() + 0.01 * (weights**2).sum(), rel=1e-5)
    torch.autograd.backward(value)
    np.testing.assert_allclose(module[0].weight.grad, 0.1 * np.sign(weights) + 0.02 * weights, rtol=1e-5)
    assert module[0].bias.grad is None
