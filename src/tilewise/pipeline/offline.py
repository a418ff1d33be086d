"""`--offline`: what a recipe is trained with where the weights it asks for are not on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tilewise.encoders.catalogue import find_card
from tilewise.encoders.config import EncoderConfig
from tilewise.encoders.find_weights import local_weights
from tilewise.recipe import Recipe, parse_recipe

Plain = dict[str, Any]

# What only a network on pixels knows; a head on features is trained without it.
_PIXEL_SECTIONS = ("network", "pretrain", "augment", "synthesis", "views")
_OF_NETWORKS = ("pooling", "engine", "precision", "batch_size")
# Meant for the steps of a network; a head on features has its own.
_PACE = ("epochs", "batch_size", "learning_rate", "patience", "num_threads")


def weights_are_here(encoder: EncoderConfig) -> bool:
    """Whether an encoder can be made without the network. A file the recipe names is taken at its word."""
    card = find_card(encoder.name)
    if encoder.init == "random" or encoder.weights is not None or not card.source:
        return True  # nothing could stand in for a file that was named, or for weights that nobody has
    return local_weights(card) is not None


def offline_recipe(
    recipe: Recipe, available: Callable[[EncoderConfig], bool] = weights_are_here
) -> tuple[Recipe, tuple[str, ...]]:
    """The recipe with what can stand in for weights that are not here, and a sentence for each change.

    An encoder that is to be trained starts from random weights. Where it would have stayed as it is, random weights
    would describe nothing: `texture` describes the tiles, and a head is trained on that. The recipe's `notes` hold the
    sentences too.

    Args:
        recipe: as it was asked for.
        available: whether the weights of an encoder are on this machine.
    """
    data = recipe.model_dump(mode="json")
    notes = [*_of_encoder(recipe, data, available)]
    # After it: with texture there is no network for a mask any more.
    notes += _of_mask_encoder(data, available)
    notes += _of_segment(data, available)
    if not notes:
        return recipe, ()
    data["notes"] = [*data["notes"], *(note for note in notes if note not in data["notes"])]
    return parse_recipe(data, recipe.name), tuple(notes)


def _of_encoder(recipe: Recipe, data: Plain, available: Callable[[EncoderConfig], bool]) -> Iterator[str]:
    encoder = recipe.encoder
    if available(encoder):
        return
    missing = f"Offline, and the weights of {encoder.name} are not on this machine:"
    if _learns(recipe):
        data["encoder"]["init"] = "random"
        yield f"{missing} it starts from random weights instead (encoder.init=random)."
        if recipe.network.trained == "last" and recipe.pretrain.method == "none":
            yield (
                f"Only the last blocks of {encoder.name} learn (network.trained=last), so the others stay random; "
                "network.trained=all trains them all."
            )
        return
    data["encoder"] = {"name": "texture", "threads": encoder.threads}
    on_features = recipe.training.input == "features"
    if on_features:
        yield f"{missing} the encoder texture describes the tiles instead (encoder.name=texture)."
    else:
        yield (
            f"{missing} as nothing of it was to be trained (network.trained={recipe.network.trained}), the encoder "
            "texture describes the tiles instead, and a head is trained on that (encoder.name=texture, "
            "training.input=features)."
        )
    fresh = EncoderConfig()
    idle = [name for name in _OF_NETWORKS if getattr(encoder, name) != getattr(fresh, name)]
    if idle:
        yield f"texture is no network and knows nothing of encoder.{', encoder.'.join(idle)}: left out."
    if not on_features:
        yield from _to_features(recipe, data)


def _learns(recipe: Recipe) -> bool:
    """Whether anything of the encoder is trained."""
    network = recipe.network
    frozen = network.trained == "frozen" or (network.trained == "last" and network.last_blocks == 0)
    return recipe.training.input == "tiles" and (not frozen or recipe.pretrain.method != "none")


def _to_features(recipe: Recipe, data: Plain) -> Iterator[str]:
    """Turn plain data of a recipe on pixels into one on features."""
    fresh = Recipe(name=recipe.name).model_dump(mode="json")
    training = data["training"]
    training["input"] = "features"
    idle = [name for name in _PIXEL_SECTIONS if data[name] != fresh[name]]
    for name in _PIXEL_SECTIONS:
        data[name] = fresh[name]
    if training["engine"] != fresh["training"]["engine"]:
        idle.append("training.engine")
        training["engine"] = fresh["training"]["engine"]
    if training["step"]["precision"] != fresh["training"]["step"]["precision"]:
        idle.append("training.step.precision")
        training["step"]["precision"] = fresh["training"]["step"]["precision"]
    if idle:
        yield f"A head on features knows nothing of `{'`, `'.join(idle)}`: left out."
    if recipe.network.input == "multi_scale":
        data["tiles"]["field_scales"] = fresh["tiles"]["field_scales"]
        yield "Tiles are cut with one field of view (tiles.field_scales=[1.0])."
    yield from _mix_features(recipe, training)
    own = [name for name in _PACE if training[name] is not None]
    for name in _PACE:
        training[name] = None
    if own:
        yield f"training.{', training.'.join(own)} were meant for a network: a head on features has its own defaults."


def _mix_features(recipe: Recipe, training: Plain) -> Iterator[str]:
    mixup = recipe.training.mixup
    if mixup.level != "tiles":
        return
    if not mixup.mixup_alpha or (mixup.cutmix_alpha and mixup.cutmix_share == 1.0):
        training["mixup"] = {"level": "none"}
        yield "CutMix is of pixels only: left out (training.mixup.level=none)."
        return
    # A batch that CutMix would have cut is not mixed at all.
    share = 1.0 - mixup.cutmix_share if mixup.cutmix_alpha else 1.0
    training["mixup"] = {
        "level": "features", "mixup_alpha": mixup.mixup_alpha, "probability": mixup.probability * share,
    }  # fmt: skip
    yield (
        f"MixUp mixes features, not pixels{', and CutMix is left out' if mixup.cutmix_alpha else ''} "
        "(training.mixup.level=features)."
    )


def _of_mask_encoder(data: Plain, available: Callable[[EncoderConfig], bool]) -> Iterator[str]:
    network = data["network"]
    if network["input"] != "dual_branch" or network["mask_init"] != "pretrained":
        return
    name = network["mask_encoder"]
    if not available(EncoderConfig(name=name)):
        network["mask_init"] = "random"
        yield (
            f"Offline, and the weights of {name}, the mask's encoder, are not on this machine: it starts from random "
            "weights instead (network.mask_init=random)."
        )


def _of_segment(data: Plain, available: Callable[[EncoderConfig], bool]) -> Iterator[str]:
    unet = data["segment"]["unet"]
    if data["segment"]["method"] != "unet" or unet["init"] != "pretrained" or unet["weights"] or unet["networks"]:
        return
    if not available(EncoderConfig(name=unet["encoder"])):
        unet["init"] = "random"
        yield (
            f"Offline, and the weights of {unet['encoder']}, the U-Net's encoder, are not on this machine: it starts "
            "from random weights instead (segment.unet.init=random)."
        )
