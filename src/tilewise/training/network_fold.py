"""One fold: tiles in, a trained network and its history out, both on disk."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tilewise.errors import TrainingError
from tilewise.folds import derived_seed
from tilewise.inference.tilestore import TileStore
from tilewise.models.networks import NetworkModel
from tilewise.plugins import plugin_records
from tilewise.store import digest_config
from tilewise.training.finished_fold import class_indices, load_finished_fold
from tilewise.training.fold_request import FoldRequest
from tilewise.training.history import HISTORY_NAME
from tilewise.training.synthesis import find_generator

if TYPE_CHECKING:
    from tilewise.models.networks import TileNetwork
    from tilewise.training.networks.data import Redraw, TilePart

_log = logging.getLogger(__name__)

# Raised when the same inputs would train to another model: models of another number are trained again.
_CODE = 3
# These change no weight.
_NO_INPUT = {"engine": {"cache_megabytes", "log"}}


def train_network_fold(request: FoldRequest, store: TileStore, *, out: Path) -> NetworkModel:
    """Train one fold and write `model.safetensors`, `model.json` and `history.csv`.

    A folder that already holds the model of the same inputs is left as it is, and a training that was stopped goes on
    after its last whole epoch. The model's `origin` holds the digest of its inputs, the seed, device and threads, the
    epoch that was kept and the notes of training.

    Args:
        request: parts, labels and configs.
        store: tiles of the fold's slides, and of more. The test part is not looked at.
        out: folder of the fold.

    Raises:
        TrainingError: a slide has no tile, or training could not go on.
        SlideError: a slide cannot be read.
        UsageError: encoder, device or cache cannot be used as asked.
    """
    from tilewise.models.networks import build_network
    from tilewise.training.networks.data import PixelData, TilePart
    from tilewise.training.networks.log import check_log
    from tilewise.training.networks.train import train_network
    from tilewise.training.networks.views import remove_workdirs
    from tilewise.training_loop import Record, remove_state

    check_log(request.training)
    name, fold = f"fold {request.number}", request.fold
    missing = [slide_id for slide_id in (*fold.train, *fold.validation) if slide_id not in store]
    if missing:
        raise TrainingError(f"{name}: slide {missing[0]} has no tiles; drop it in decisions.csv")
    seed = derived_seed(request.seed, request.number)
    network = build_network(
        request.network,
        request.encoder,
        request.head,
        num_classes=len(request.classes),
        seed=seed,
        offline=request.offline,
    )
    pretrained = _pretrained(request, store, network, seed, out)
    inputs = _digest(request, store, network)
    model = load_finished_fold(NetworkModel, out, inputs)
    if model is not None:
        remove_state(out)
        remove_workdirs(out)
        return model
    labels = class_indices(request.labels, request.classes)
    try:
        train, made = _synthesized(request, TilePart.of(store, fold.train, labels), seed)
        validation = TilePart.of(store, fold.validation, labels)
        data = PixelData(request.classes, replace(train, redraw=_redraw(request, store)), validation)
    except TrainingError as error:
        raise TrainingError(f"{name}: {error}") from error
    model, history = train_network(
        network,
        data,
        request.training,
        request.augment,
        seed=seed,
        record=Record(name, out, inputs),
        metric=request.metric,
    )
    for note in history.notes:
        _log.info("%s: %s", name, note)
    origin = {
        "inputs": inputs,
        "fold": request.number,
        "seed": seed,
        "training": request.training.model_dump(mode="json"),
        "augment": request.augment.model_dump(mode="json"),
        **history.summary,
        **made,
        **pretrained,
    }
    model = replace(model, origin=origin | dict(model.origin))
    # The model comes last: a folder that holds it is whole.
    history.write(out / HISTORY_NAME)
    model.save(out)
    remove_state(out)
    remove_workdirs(out)
    return model


def _pretrained(request: FoldRequest, store: TileStore, network: TileNetwork, seed: int, out: Path) -> dict[str, Any]:
    """Give the encoder the weights it learns without labels, if it is to; what the model's origin says of it."""
    if request.pretrain.method == "none":
        return {}
    from tilewise.training.pretrain.pretrain_encoder import PretrainTask, pretrain_encoder

    unlabelled = request.unlabelled if request.pretrain.use_unlabelled else ()
    slide_ids = tuple(sorted({*request.fold.train, *unlabelled}))
    task = PretrainTask(f"fold {request.number}", slide_ids, request.pretrain, request.training, seed)
    pretrain_encoder(task, store, network, out=out)
    return {"pretrain": {"config": request.pretrain.model_dump(mode="json"), "unlabelled": list(unlabelled)}}


def _redraw(request: FoldRequest, store: TileStore) -> Redraw | None:
    """What random views of the train part are drawn anew from; None where tiles stay the same."""
    from tilewise.training.networks.data import Redraw

    sources = tuple(store.source(slide_id) for slide_id in request.fold.train)
    tile_config = sources[0].tile_config if sources else None
    if tile_config is None or "random_views" not in tile_config.strategy or not tile_config.random_views_epochs:
        return None
    # Two draws are held, the one in use and the next.
    return Redraw(sources, tile_config.random_views_epochs, request.training.engine.tile_megabytes / 2)


def _synthesized(request: FoldRequest, part: TilePart, seed: int) -> tuple[TilePart, dict[str, Any]]:
    """The train part with the tiles that the recipe asks to be made, and what the model's origin says of them."""
    config = request.synthesis
    if config.method == "none":
        return part, {}
    from tilewise.training.synthesis import synthesize_part

    most = request.training.engine.tile_megabytes
    synthetic = synthesize_part(part, request.classes, config, find_generator(config), seed=seed, most_megabytes=most)
    for note in synthetic.notes:
        _log.warning("fold %d: %s", request.number, note)
    return synthetic.part, {"synthesis": {"num_added": dict(synthetic.num_added), "notes": list(synthetic.notes)}}


def _digest(request: FoldRequest, store: TileStore, network: TileNetwork) -> str:
    from tilewise.training_loop import digest_tensors

    parts = (request.fold.train, request.fold.validation)
    composed, redraw = request.synthesis.method != "none", _redraw(request, store)
    plugins = plugin_records({"head": request.head.model_dump()})
    return digest_config(
        {
            "code": _CODE,
            "parts": [
                [[slide_id, request.labels[slide_id], store.key(slide_id)] for slide_id in part] for part in parts
            ],
            "classes": list(request.classes),
            "network": request.network,
            "first_weights": digest_tensors(network.state_dict()),
            "head": request.head,
            **({"plugins": plugins} if plugins else {}),
            "training": request.training.model_dump(mode="json", exclude=_NO_INPUT),
            "augment": request.augment,
            "metric": request.metric,
            "seed": [request.seed, request.number],
            **({} if redraw is None else {"views": redraw.sources[0].tile_config}),
            **(
                {"synthesis": [request.synthesis, dict(find_generator(request.synthesis).signature)]}
                if composed
                else {}
            ),
        }
    )
