"""What a head that sees whole slides cannot be trained with."""

from __future__ import annotations

from tilewise.models.config import HeadConfig
from tilewise.training.config import TrainingConfig


def check_pooling(head: HeadConfig, training: TrainingConfig) -> None:
    """Hold the training of a head behind attention to what it can do.

    Raises:
        ValueError: networks on pixels learn tile by tile; or an option is about tiles that are samples of their own.
    """
    if not head.pools:
        return
    if training.input == "tiles":
        raise ValueError(
            "head.aggregate=attention weighs features, and with training.input=tiles a network learns tile by tile; "
            "set "
            "training.input=features and drop the sections of pixels, or set head.aggregate=mean"
        )
    for key, chosen in {
        "weight": training.weight == "tile",
        "sampling.unit": training.sampling.unit == "slide",
    }.items():
        if chosen:
            raise ValueError(
                f"training.{key} has no effect with head.aggregate=attention, which learns from slides with all their "
                "tiles; drop it, or set head.aggregate=mean"
            )
