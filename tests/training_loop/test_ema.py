"""The average against its closed form."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from tilewise.training_loop import Ema, StepConfig


def wander(ema: Ema, module: nn.Module, steps: int, seed: int = 0) -> list[np.ndarray]:
    generator = torch.Generator().manual_seed(seed)
    path = []
    for _ in range(steps):
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
        ema.update(module)
        path.append(module.weight.detach().numpy().copy())
    return path


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.99])
def test_the_closed_form(decay: float) -> None:
    layer = nn.Linear(3, 2).double()
    start = layer.weight.detach().numpy().copy()
    ema = Ema(layer, decay, warmup=False)
    path = wander(ema, layer, 30)
    expected = decay**30 * start + sum((1 - decay) * decay ** (29 - i) * weight for i, weight in enumerate(path))
    np.testing.assert_allclose(ema.weights()["weight"], expected, rtol=1e-9, atol=1e-12)


def test_the_closed_form_with_warmup() -> None:
    layer = nn.Linear(3, 2).double()
    start = layer.weight.detach().numpy().copy()
    ema = Ema(layer, 0.8, warmup=True)
    path = wander(ema, layer, 60)
    decays = np.minimum(0.8, (1 + np.arange(60)) / (10 + np.arange(60)))
    assert (decays == 0.8).any()
    left = np.append(np.cumprod(decays[::-1])[::-1], 1.0)  # what the steps from i on leave
    expected = left[0] * start + sum((1 - decays[i]) * left[i + 1] * weight for i, weight in enumerate(path))
    np.testing.assert_allclose(ema.weights()["weight"], expected, rtol=1e-9)


def test_agrees_with_torchs_averaged_model() -> None:
    layer = nn.Linear(3, 2)
    theirs = torch.optim.swa_utils.AveragedModel(layer, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9))
    theirs.update_parameters(layer)  # the first one is a copy
    ema = Ema(layer, 0.9, warmup=False)
    for seed in range(10):
        wander(ema, layer, 1, seed)
        theirs.update_parameters(layer)
    torch.testing.assert_close(ema.weights()["weight"], theirs.module.weight.detach())


def test_the_average_is_lent_and_given_back() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    ema = Ema(module, 0.5, warmup=False)
    before = ema.weights()
    module.train()
    module(torch.randn(8, 3, generator=torch.Generator().manual_seed(0)))
    with torch.no_grad():
        module[0].weight.zero_()
    ema.update(module)
    own = copy.deepcopy(module.state_dict())
    with ema.averaged(module):
        torch.testing.assert_close(module[0].weight.detach(), before["0.weight"] / 2)
        torch.testing.assert_close(module[1].running_var, (before["1.running_var"] + own["1.running_var"]) / 2)
        assert module[1].num_batches_tracked == 1
    assert all(torch.equal(own[name], tensor) for name, tensor in module.state_dict().items())
    with pytest.raises(RuntimeError), ema.averaged(module):
        raise RuntimeError
    assert torch.equal(module[0].weight, own["0.weight"])


def test_a_config_asks_for_it_or_not() -> None:
    layer = nn.Linear(2, 2)
    assert Ema.of(layer, StepConfig()) is None
    warm, cold = (Ema.of(layer, StepConfig(ema_decay=0.9, ema_warmup=warmup)) for warmup in (True, False))
    with torch.no_grad():
        layer.weight.add_(1.0)
    for ema in (warm, cold):
        ema.update(layer)
    torch.testing.assert_close(cold.weights()["weight"], layer.weight.detach() - 0.9)
    torch.testing.assert_close(warm.weights()["weight"], layer.weight.detach() - 0.1)
