"""Pretraining of one fold: tiles in, an encoder's first weights out, on disk and in the network."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tilewise.errors import ArtifactError, TrainingError
from tilewise.folds import derived_seed
from tilewise.inference.slide_tiles import SlideTiles
from tilewise.store import digest_bytes, digest_config, read_json, read_tensors, write_bytes, write_json
from tilewise.training_config.pretrain import PretrainConfig
from tilewise.training_config.training import TrainingConfig

if TYPE_CHECKING:
    from torch import Tensor

    from tilewise.models.networks import TileNetwork

_log = logging.getLogger(__name__)

WEIGHTS_NAME = "pretrained.safetensors"
ABOUT_NAME = "pretrained.json"
SCHEMA = "tilewise.pretrained-encoder"
_VERSION = 1
# Raised when the same inputs would give other weights: weights of another number are made again.
_CODE = 2
# Random numbers of its own: training draws from those of the fold.
_STREAM = 1
# What comes after pretraining, and changes nothing of it.
_LATER = {"trained", "blocks", "last_blocks", "blocks_per_stage", "epochs_per_stage", "layer_decay"}
_NO_INPUT = {"cache_megabytes", "log", "devices"}


class Tiles(Protocol):
    """Slide -> its decoded tiles, and the digest of what they follow from: a `TileStore`."""

    def __getitem__(self, slide_id: str, /) -> SlideTiles: ...

    def __contains__(self, slide_id: object, /) -> bool: ...

    def key(self, slide_id: str) -> str:
        """Digest of everything the tiles of a slide follow from."""


@dataclass(frozen=True)
class PretrainTask:
    """What an encoder learns from, beside the tiles.

    Attributes:
        name: what messages call the fold.
        slide_ids: of the fold's train part, and those without a label that may take part in the fold.
        config: how.
        training: device, layout, precision, compiling, threads and clipping; nothing else of it counts.
        seed: of the fold.
    """

    name: str
    slide_ids: tuple[str, ...]
    config: PretrainConfig
    training: TrainingConfig
    seed: int


def pretrain_encoder(request: PretrainTask, tiles: Tiles, network: TileNetwork, *, out: Path) -> None:
    """Give a network the weights that its encoder learns from these tiles, and write them; its head stays as it is.

    Writes `pretrained.safetensors`, `pretrained.json` and `pretraining.csv`. A folder that already holds the weights of
    the same inputs is left as it is, and a pretraining that was stopped goes on after its last whole epoch.

    Args:
        request: slides and configs; the method must not be none.
        tiles: of these slides, and of more; no other slide is asked for.
        network: with its first weights, on the processor.
        out: folder of the fold.

    Raises:
        TrainingError: a slide has no tile, or pretraining could not go on.
        SlideError: a slide cannot be read.
        UsageError: device or cache cannot be used as asked.
    """
    from tilewise.training.networks.data import TilePart
    from tilewise.training.pretrain.loop import HISTORY_NAME, STATE_NAME, EpochRow, encoder_weights, pretrain
    from tilewise.training_loop import Record, write_table

    missing = [slide_id for slide_id in request.slide_ids if slide_id not in tiles]
    if missing:
        raise TrainingError(f"{request.name}: slide {missing[0]} has no tiles; drop it in decisions.csv")
    expected = encoder_weights(network)
    inputs = _digest(request, tiles, network, expected)
    weights = _load_finished(out, inputs, expected)
    if weights is None:
        try:
            part = TilePart.of(tiles, request.slide_ids, dict.fromkeys(request.slide_ids, 0))
        except TrainingError as error:
            raise TrainingError(f"{request.name}: {error}") from error
        seed = derived_seed(request.seed, _STREAM)
        record = Record(request.name, out, inputs)
        learnt = pretrain(network, part, request.config, request.training, record, seed=seed)
        write_table(out / HISTORY_NAME, EpochRow, learnt.rows)
        weights = learnt.weights
        description = {
            "inputs": inputs,
            "pretrain": request.config.model_dump(mode="json"),
            "slides": list(request.slide_ids),
            "num_tiles": len(part),
            "num_epochs": len(learnt.rows),
            "loss": learnt.rows[-1].loss,
            "matched": learnt.rows[-1].matched,
            "seed": seed,
            **learnt.origin,
        }
        _write(out, weights, description)
    (out / STATE_NAME).unlink(missing_ok=True)
    network.load_state_dict(weights, strict=False)


def _write(out: Path, weights: dict[str, Tensor], description: dict[str, Any]) -> None:
    """The description comes last and holds the digest of the weights, so that a half is noticed."""
    from safetensors.torch import save

    data = save(weights)
    write_bytes(out / WEIGHTS_NAME, data)
    write_json(out / ABOUT_NAME, description | {"weights_digest": digest_bytes(data)}, schema=SCHEMA, version=_VERSION)


def _load_finished(out: Path, inputs: str, expected: dict[str, Tensor]) -> dict[str, Tensor] | None:
    from tilewise.training.pretrain.loop import HISTORY_NAME

    if not (out / HISTORY_NAME).is_file() or not (out / ABOUT_NAME).is_file():
        return None
    try:
        description = read_json(out / ABOUT_NAME, schema=SCHEMA, version=_VERSION)
        if description.get("inputs") != inputs:
            return None
        digest, again = description.get("weights_digest"), "it is made again"
        weights = read_tensors(out / WEIGHTS_NAME, digest, described_in=ABOUT_NAME, again=again, framework="torch")
    except ArtifactError as error:
        _log.info("%s", error)
        return None
    shapes = {name: tensor.shape for name, tensor in weights.items()}
    return weights if shapes == {name: tensor.shape for name, tensor in expected.items()} else None


def _digest(request: PretrainTask, tiles: Tiles, network: TileNetwork, first: dict[str, Tensor]) -> str:
    from tilewise.training_loop import digest_tensors

    training = request.training
    return digest_config(
        {
            "code": _CODE,
            "slides": [[slide_id, tiles.key(slide_id)] for slide_id in request.slide_ids],
            "network": network.config.model_dump(mode="json", exclude=_LATER),
            "encoders": [None if card is None else card.as_json() for card in (network.card, network.mask_card)],
            "first_weights": digest_tensors(first),
            "pretrain": request.config,
            "engine": training.engine.model_dump(mode="json", exclude=_NO_INPUT),
            "step": [training.step.precision, training.step.clip_norm],
            "num_threads": training.num_threads,
            "seed": request.seed,
        }
    )
