"""Steps against the papers' formulas in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import nn

from tilewise.errors import UsageError
from tilewise.training_loop import OptimizerConfig, build_optimizer

RATE, DECAY, STEPS = 0.02, 0.1, 40
KINDS = ("adamw", "adam", "sgd", "lion", "radam", "ranger")
START = np.array([1.0, -2.0, 0.5])


def gradient(w: np.ndarray, step: int) -> np.ndarray:
    """Of a bent valley that moves, so that order and memory matter."""
    return 2 * w + np.cos(w * 3 + step) - 0.3


def torch_path(config: OptimizerConfig, *, factor: float = 1.0) -> np.ndarray:
    w = nn.Parameter(torch.tensor(START))
    optimizer = build_optimizer(
        config, [{"params": [w], "weight_decay": DECAY, "factor": factor}], learning_rate=RATE / factor
    )
    path = []
    for step in range(STEPS):
        w.grad = torch.from_numpy(gradient(w.detach().numpy(), step))
        optimizer.step()
        path.append(w.detach().numpy().copy())
    return np.array(path)


def adam_moments(betas: tuple[float, float]) -> Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]:
    m, v = np.zeros(3), np.zeros(3)

    def take(g: np.ndarray, t: int) -> tuple[np.ndarray, np.ndarray]:
        nonlocal m, v
        m, v = betas[0] * m + (1 - betas[0]) * g, betas[1] * v + (1 - betas[1]) * g**2
        return m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)

    return take


def adamw() -> Iterator[np.ndarray]:
    w, moments = START.copy(), adam_moments((0.9, 0.999))
    for step in range(STEPS):
        m, v = moments(gradient(w, step), step + 1)
        w = w - RATE * DECAY * w - RATE * m / (np.sqrt(v) + 1e-8)
        yield w


def adam() -> Iterator[np.ndarray]:
    w, moments = START.copy(), adam_moments((0.9, 0.999))
    for step in range(STEPS):
        m, v = moments(gradient(w, step) + DECAY * w, step + 1)
        w = w - RATE * m / (np.sqrt(v) + 1e-8)
        yield w


def sgd() -> Iterator[np.ndarray]:
    w, velocity = START.copy(), None
    for step in range(STEPS):
        g = gradient(w, step) + DECAY * w
        velocity = g if velocity is None else 0.9 * velocity + g
        w = w - RATE * (g + 0.9 * velocity)
        yield w


def lion() -> Iterator[np.ndarray]:
    """Chen et al. 2023, algorithm 2."""
    w, m = START.copy(), np.zeros(3)
    for step in range(STEPS):
        g = gradient(w, step)
        w = w - RATE * (np.sign(0.9 * m + 0.1 * g) + DECAY * w)
        m = 0.99 * m + 0.01 * g
        yield w


def radam_step(w: np.ndarray, g: np.ndarray, t: int, state: dict, betas: tuple[float, float]) -> np.ndarray:
    """Liu et al. 2020, algorithm 2, with decay apart from the gradient."""
    state["m"] = betas[0] * state.get("m", 0.0) + (1 - betas[0]) * g
    state["v"] = betas[1] * state.get("v", 0.0) + (1 - betas[1]) * g**2
    m = state["m"] / (1 - betas[0] ** t)
    most = 2 / (1 - betas[1]) - 1
    rho = most - 2 * t * betas[1] ** t / (1 - betas[1] ** t)
    w = w * (1 - RATE * DECAY)
    if rho <= 5:
        return w - RATE * m
    r = np.sqrt((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho))
    return w - RATE * r * m * np.sqrt(1 - betas[1] ** t) / (np.sqrt(state["v"]) + 1e-8)


def radam() -> Iterator[np.ndarray]:
    w, state = START.copy(), {}
    for step in range(STEPS):
        w = radam_step(w, gradient(w, step), step + 1, state, (0.9, 0.999))
        yield w


def ranger(steps: int = 6, share: float = 0.5) -> Iterator[np.ndarray]:
    """Zhang et al. 2019, algorithm 1, around RAdam: the slow weights start where training starts."""
    fast, slow, state = START.copy(), START.copy(), {}
    for step in range(STEPS):
        fast = radam_step(fast, gradient(fast, step), step + 1, state, (0.95, 0.999))
        if (step + 1) % steps == 0:
            slow = slow + share * (fast - slow)
            fast = slow
        yield fast


@pytest.mark.parametrize("formula", [adamw, adam, sgd, lion, radam, ranger])
def test_steps_are_those_of_the_formula(formula: Callable[[], Iterator[np.ndarray]]) -> None:
    path = torch_path(OptimizerConfig(kind=formula.__name__))
    np.testing.assert_allclose(path, list(formula()), rtol=1e-6, atol=1e-9)


def test_lookahead_options_are_those_of_the_formula() -> None:
    path = torch_path(OptimizerConfig(kind="ranger", lookahead_steps=4, lookahead_share=0.8))
    np.testing.assert_allclose(path, list(ranger(4, 0.8)), rtol=1e-6, atol=1e-9)
    assert np.abs(path - torch_path(OptimizerConfig(kind="ranger"))).max() > 1e-3


def test_lookahead_that_goes_all_the_way_is_radam() -> None:
    path = torch_path(OptimizerConfig(kind="ranger", lookahead_share=1.0))
    np.testing.assert_allclose(path, torch_path(OptimizerConfig(kind="radam", betas=(0.95, 0.999))), rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_factor_is_a_part_of_the_rate(kind: str) -> None:
    config = OptimizerConfig(kind=kind)
    np.testing.assert_allclose(torch_path(config, factor=0.25), torch_path(config), rtol=1e-9)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "adamw", "betas": (0.5, 0.9)},
        {"kind": "lion", "betas": (0.5, 0.9)},
        {"kind": "adam", "epsilon": 0.1},
        {"kind": "sgd", "momentum": 0.0},
    ],
    ids=str,
)
def test_every_option_does_something(changes: dict) -> None:
    plain = torch_path(OptimizerConfig(kind=changes["kind"]))
    assert np.abs(torch_path(OptimizerConfig(**changes)) - plain).max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_learns_a_line(kind: str) -> None:
    x = torch.randn(64, 5, generator=torch.Generator().manual_seed(0))
    y = x @ torch.arange(5.0) + 1.0
    layer = nn.utils.skip_init(nn.Linear, 5, 1)
    nn.init.zeros_(layer.weight), nn.init.zeros_(layer.bias)
    optimizer = build_optimizer(OptimizerConfig(kind=kind), [{"params": list(layer.parameters())}], learning_rate=0.06)
    losses = []
    for _ in range(400):
        loss = (layer(x)[:, 0] - y).square().mean()
        losses.append(loss.item())
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    assert losses[-1] < 0.02 * losses[0]


def test_groups_by_rate_or_by_factor() -> None:
    a, b, c, frozen = (nn.Parameter(torch.ones(2)) for _ in range(4))
    frozen.requires_grad_(False)
    optimizer = build_optimizer(
        OptimizerConfig(),
        [
            {"params": [a, frozen], "lr": 0.025, "weight_decay": 0.3},
            {"params": [b], "factor": 0.5, "name": "head"},
            {"params": iter([c])},
        ],
        learning_rate=0.1,
    )
    groups = optimizer.param_groups
    assert [len(group["params"]) for group in groups] == [2, 1, 1]
    assert [group["lr"] for group in groups] == pytest.approx([0.025, 0.05, 0.1])
    assert [group["factor"] for group in groups] == pytest.approx([0.25, 0.5, 1.0])
    assert [group["weight_decay"] for group in groups] == [0.3, 0.0, 0.0]
    with pytest.raises(UsageError, match="no weight is trained"):
        build_optimizer(OptimizerConfig(), [{"params": [frozen]}], learning_rate=0.1)


def test_weights_that_join_later_start_their_slow_weights_then() -> None:
    first, late = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.full((1,), 5.0))
    config = OptimizerConfig(kind="ranger", lookahead_steps=2)
    optimizer = build_optimizer(config, [{"params": [first, late]}], learning_rate=0.1)
    for step in range(4):
        first.grad = torch.ones(1)
        late.grad = torch.ones(1) if step >= 2 else None
        optimizer.step()
    assert 4.5 < late.item() < 5.0


@pytest.mark.parametrize("kind", KINDS)
def test_frozen_weights_stand_still_until_they_are_trained(kind: str) -> None:
    head, block = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2), requires_grad=False)
    groups = [{"params": [block], "weight_decay": 0.5, "factor": 0.5}, {"params": [head]}]
    optimizer = build_optimizer(OptimizerConfig(kind=kind), groups, learning_rate=0.1)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward((head.square() + block.square()).sum())
        optimizer.step()

    step()
    assert torch.equal(block, torch.ones(2))
    block.requires_grad_(True)
    step()
    assert (block < 1.0).all()
    last = block.detach().clone()
    block.requires_grad_(False)
    for _ in range(12):  # past a move of the slow weights
        step()
    assert torch.equal(block, last)
