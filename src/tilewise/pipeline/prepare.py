"""What slides will be put through, made or checked before any of them is looked at."""

from __future__ import annotations

from typing import Any

from tilewise.encoders import Encoder, build_encoder, find_card
from tilewise.errors import EncoderUnavailable
from tilewise.inference.slide_tiles import InputSpec
from tilewise.pipeline.offline import offline_recipe
from tilewise.recipe import Recipe


def prepare(recipe: Recipe, *, seed: int, workers: int | None, offline: bool) -> tuple[Encoder | None, dict[str, Any]]:
    """The encoder that features are made by, None where a network takes pixels; and what an archive says of either.

    Raises:
        UsageError: it cannot be made here: weights are missing, a licence has to be read, a device is not there.
    """
    try:
        return _prepare(recipe, seed=seed, workers=workers, offline=offline)
    except EncoderUnavailable as error:
        if not offline and offline_recipe(recipe)[1]:
            error.add_note(
                "without these weights: `--offline` trains with what can stand in for them, random weights or the "
                "encoder texture, and says so in the report's first lines"
            )
        raise


def _prepare(recipe: Recipe, *, seed: int, workers: int | None, offline: bool) -> tuple[Encoder | None, dict[str, Any]]:
    if recipe.training.input == "features":
        encoder = build_encoder(recipe.encoder, offline=offline, seed=seed, workers=workers)
        return encoder, dict(encoder.signature)
    import torch

    from tilewise.compute import find_device
    from tilewise.models.networks import build_network

    device = find_device(recipe.training.engine.device, recipe.training.step.precision)
    InputSpec.by(recipe.network, recipe.encoder, recipe.tiles)
    build_network(recipe.network, recipe.encoder, recipe.head, num_classes=2, seed=seed, offline=offline)
    network, start = recipe.network, recipe.encoder.init
    return None, {
        "card": find_card(recipe.encoder.name).name,
        "weights": start if network.trained == "frozen" else f"trained here ({network.trained}), from {start} ones",
        "engine": "torch",
        "library": torch.__version__,
        "device": device.type,
        "precision": recipe.training.step.precision,
    }
