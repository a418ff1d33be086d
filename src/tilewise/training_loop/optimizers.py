"""Optimisers by name, over groups of parameters that each have a factor on the rate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tilewise.errors import UsageError
from tilewise.torchvision_repair import import_repaired
from tilewise.training_loop.config import OptimizerConfig

Group = dict[str, Any]


def build_optimizer(config: OptimizerConfig, groups: Iterable[Group], *, learning_rate: float) -> torch.optim.Optimizer:
    """The optimiser of a config. A schedule then sets each group's rate to rate * factor.

    Args:
        config: which optimiser.
        groups: `params`, `weight_decay` (0 if left out), and either `factor`, what the learning rate is multiplied by
            in this group (1 if left out), or `lr`, the group's rate itself. Frozen parameters belong to it too: they
            stand still until they are trained.
        learning_rate: the rate that factors are of.

    Raises:
        UsageError: no parameter is trained.
    """
    prepared = [_prepared(group, learning_rate) for group in groups]
    if not any(parameter.requires_grad for group in prepared for parameter in group["params"]):
        raise UsageError("no weight is trained: every block of the network is frozen; train at least the head")
    return _BUILDERS[config.kind](config, prepared, learning_rate)


class Ranger(torch.optim.RAdam):
    """RAdam (Liu et al. 2020) with lookahead (Zhang et al., Lookahead optimizer, NeurIPS 2019).

    Slow weights start where training starts; after every `lookahead_steps` steps they move by `lookahead_share` towards
    the fast ones, which go on from there. The step count and the slow weights are part of the state.
    """

    def __init__(
        self, params: Iterable[Group], *, lookahead_steps: int = 6, lookahead_share: float = 0.5, **radam: Any
    ) -> None:
        super().__init__(params, **radam)
        for group in self.param_groups:
            group.setdefault("lookahead_steps", lookahead_steps)
            group.setdefault("lookahead_share", lookahead_share)
            group.setdefault("lookahead_done", 0)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of RAdam, and the move of the slow weights when it is due."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        before = self._first_values()
        super().step()
        with torch.no_grad():
            for parameter, slow in before:
                self.state[parameter]["slow"] = slow
            for group in self.param_groups:
                group["lookahead_done"] += 1
                if group["lookahead_done"] % group["lookahead_steps"] == 0:
                    self._look_ahead(group)
        return loss

    def _first_values(self) -> list[tuple[nn.Parameter, Tensor]]:
        """Weights that have never been moved, as they are before their first step."""
        return [
            (parameter, parameter.detach().clone())
            for group in self.param_groups
            for parameter in group["params"]
            if parameter.grad is not None and "slow" not in self.state[parameter]
        ]

    def _look_ahead(self, group: Group) -> None:
        for parameter in group["params"]:
            slow = self.state.get(parameter, {}).get("slow")
            if slow is not None and parameter.grad is not None:
                slow.lerp_(parameter, group["lookahead_share"])
                parameter.copy_(slow)


def _prepared(group: Mapping[str, Any], learning_rate: float) -> Group:
    params = list(group["params"])
    factor = group["factor"] if "factor" in group else group.get("lr", learning_rate) / learning_rate
    rest = {key: value for key, value in group.items() if key not in ("params", "factor", "lr")}
    return {"weight_decay": 0.0, **rest, "params": params, "factor": factor, "lr": learning_rate * factor}


def _adamw(config: OptimizerConfig, groups: list[Group], rate: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, lr=rate, betas=config.betas or (0.9, 0.999), eps=config.epsilon, fused=True)


def _adam(config: OptimizerConfig, groups: list[Group], rate: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(groups, lr=rate, betas=config.betas or (0.9, 0.999), eps=config.epsilon, fused=True)


def _sgd(config: OptimizerConfig, groups: list[Group], rate: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups, lr=rate, momentum=config.momentum, nesterov=config.momentum > 0.0, fused=True)


def _lion(config: OptimizerConfig, groups: list[Group], rate: float) -> torch.optim.Optimizer:
    lion: Callable[..., torch.optim.Optimizer] = import_repaired("timm.optim").Lion
    return lion(groups, lr=rate, betas=config.betas or (0.9, 0.99))


def _radam(config: OptimizerConfig, groups: list[Group], rate: float) -> torch.optim.Optimizer:
    betas = config.betas or (0.9, 0.999)
    return torch.optim.RAdam(groups, lr=rate, betas=betas, eps=config.epsilon, decoupled_weight_decay=True)


def _ranger(config: OptimizerConfig, groups: list[Group], rate: float) -> torch.optim.Optimizer:
    return Ranger(
        groups,
        lookahead_steps=config.lookahead_steps,
        lookahead_share=config.lookahead_share,
        lr=rate,
        betas=config.betas or (0.95, 0.999),
        eps=config.epsilon,
        decoupled_weight_decay=True,
    )


_BUILDERS: Mapping[str, Callable[[OptimizerConfig, list[Group], float], torch.optim.Optimizer]] = {
    "adamw": _adamw,
    "adam": _adam,
    "sgd": _sgd,
    "lion": _lion,
    "radam": _radam,
    "ranger": _ranger,
}
