"""What a head cannot be trained with, or what would have no effect on it."""

from __future__ import annotations

from pydantic import BaseModel

from tilewise.models.config import HeadConfig
from tilewise.training_config.training import BagConfig, TrainingConfig

# What a head that is fitted at once takes of `training`, and of `training.loss`.
_OF_FITTED = ("input", "loss", "engine", "num_threads", "select_by")
_LOSS_OF_FITTED = ("class_weights", "effective_beta")


def check_head(head: HeadConfig, training: TrainingConfig) -> None:
    """Hold the training of a head that sees whole slides to what it can do.

    Raises:
        ValueError: networks on tiles learn tile by tile; or an option is about tiles that are samples of their own, or
            about epochs where there are none.
    """
    if training.bags != BagConfig() and not head.attends:
        raise ValueError(
            f"training.bags has no effect with head.aggregate={head.aggregator}, which does not learn from whole "
            "slides; drop it, or set head.aggregate=attention"
        )
    if training.input == "tiles" and "mask_ratio" in head.tile_weights:
        raise ValueError(
            f"head.tile_weights={head.tile_weights} is for heads on features; set training.input=features, or "
            "head.tile_weights=confidence"
        )
    if head.takes_probabilities:
        return
    if training.input == "tiles":
        raise ValueError(
            f"{_reason(head)} takes features, and with training.input=tiles a network learns tile by tile; set "
            "training.input=features and drop the sections of pixels, or set head.kind=linear and head.aggregate=mean"
        )
    if not head.learns_in_epochs:
        _check_fitted(head, training)
    for key, is_set in {
        "weight": training.weight == "tile",
        "sampling.unit": training.sampling.unit == "slide",
    }.items():
        if is_set:
            raise ValueError(
                f"training.{key} has no effect with head.aggregate={head.aggregator}, which learns from slides with "
                "all their tiles; drop it, or set head.aggregate=mean"
            )


def _reason(head: HeadConfig) -> str:
    return f"head.aggregate={head.aggregator}" if head.learns_in_epochs else f"head.kind={head.kind}"


def _check_fitted(head: HeadConfig, training: TrainingConfig) -> None:
    """Refuse every key of a training in epochs."""
    keys = [name for name in _changed(training) if name not in _OF_FITTED]
    keys += [f"loss.{name}" for name in _changed(training.loss) if name not in _LOSS_OF_FITTED]
    chooses = head.kind == "logistic" and head.logistic_c is None
    keys += ["select_by"] * (training.select_by != "loss" and not chooses)
    if keys:
        what = "fitted at once" if head.kind == "logistic" else "fitted in closed form"
        raise ValueError(
            f"training.{keys[0]} has no effect with head.kind={head.kind}, which is {what}; drop it, or set "
            "head.kind=linear"
        )


def _changed(config: BaseModel) -> list[str]:
    defaults = type(config)()
    return [name for name in type(config).model_fields if getattr(config, name) != getattr(defaults, name)]
