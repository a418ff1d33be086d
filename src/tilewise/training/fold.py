"""One fold: features in, a trained model and its history out, both on disk."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tilewise.errors import TrainingError
from tilewise.extraction.bag import FeatureBag, placements
from tilewise.folds import derived_seed
from tilewise.models import FoldModel
from tilewise.plugins import plugin_records
from tilewise.store import digest_config
from tilewise.training.data import FeatureData, PartData
from tilewise.training.finished_fold import class_indices, load_finished_fold
from tilewise.training.fold_request import FoldRequest
from tilewise.training.history import HISTORY_NAME

_log = logging.getLogger(__name__)

# Raised when the same inputs would train to another model: models of another number are trained again.
_CODE = 3


def train_fold(request: FoldRequest, bags: Mapping[str, FeatureBag], *, out: Path) -> FoldModel:
    """Train one fold and write `model.safetensors`, `model.json` and `history.csv`.

    A folder that already holds the model of the same inputs is left as it is, so that a stopped run goes on. The
    model's `origin` holds the digest of its inputs, the seed, the epoch that was kept and the notes of training.

    Args:
        request: parts, labels and configs.
        bags: slide id -> features; more slides than those of the fold do no harm. The test part is not looked at.
        out: folder of the fold.

    Raises:
        TrainingError: a slide has no or no usable features, or training could not go on.
    """
    inputs = _digest(request, bags)
    model = load_finished_fold(FoldModel, out, inputs)
    if model is not None:
        return model
    from tilewise.training.head import train_head

    name = f"fold {request.number}"
    labels = class_indices(request.labels, request.classes)
    try:
        train = _part({slide_id: bags[slide_id] for slide_id in request.fold.train}, labels)
        validation = _part({slide_id: bags[slide_id] for slide_id in request.fold.validation}, labels)
        data = FeatureData(request.classes, train, validation, request.groups)
    except TrainingError as error:
        raise TrainingError(f"{name}: {error}") from error
    seed = derived_seed(request.seed, request.number)
    model, history = train_head(data, request.head, request.training, seed=seed, name=name, metric=request.metric)
    for note in history.notes:
        _log.info("%s: %s", name, note)
    origin = {
        "inputs": inputs,
        "fold": request.number,
        "seed": request.seed,
        "training": request.training.model_dump(mode="json"),
        **history.summary,
    }
    model = replace(model, origin=origin)
    # The model comes last: a folder that holds it is whole.
    history.write(out / HISTORY_NAME)
    model.save(out)
    return model


def _part(bags: Mapping[str, FeatureBag], labels: Mapping[str, int]) -> PartData:
    context = [bag.context_E for bag in bags.values() if bag.context_E is not None]
    part = PartData.of({name: bag.features_ND for name, bag in bags.items()}, labels, context)
    return replace(part, placements_NP=placements(bags.values()))


def _digest(request: FoldRequest, bags: Mapping[str, FeatureBag]) -> str:
    parts: Sequence[Sequence[str]] = (request.fold.train, request.fold.validation)
    missing = [slide_id for part in parts for slide_id in part if slide_id not in bags]
    if missing:
        raise TrainingError(
            f"fold {request.number}: slide {missing[0]} has no features; extract them, or drop it in decisions.csv"
        )
    unplaced = [slide_id for part in parts for slide_id in part if bags[slide_id].mask_ratios is None]
    if request.head.takes_placements and unplaced:
        raise TrainingError(
            f"fold {request.number}: slide {unplaced[0]} has features without mask ratios; drop "
            "head.attention_placement, and head.tile_weights"
        )
    # Groups decide about what is chosen by inner folds alone.
    chooses = not request.head.learns_in_epochs and request.head.logistic_c is None
    groups = [request.groups.get(slide_id) for part in parts for slide_id in part] if chooses else []
    plugins = plugin_records({"head": request.head.model_dump()})
    return digest_config(
        {
            "code": _CODE,
            "parts": [
                [
                    [slide_id, request.labels[slide_id], _digest_bag(bags[slide_id], request.head.takes_placements)]
                    for slide_id in part
                ]
                for part in parts
            ],
            "classes": list(request.classes),
            "head": request.head,
            **({"plugins": plugins} if plugins else {}),
            "training": request.training,
            "metric": request.metric,
            "seed": [request.seed, request.number],
            **({"groups": groups} if chooses else {}),
        }
    )


def _digest_bag(bag: FeatureBag, placements: bool) -> str:
    state = hashlib.blake2b(np.ascontiguousarray(bag.features_ND).data, digest_size=20)
    state.update(repr((bag.features_ND.shape, bag.features_ND.dtype.str)).encode())
    if bag.context_E is not None:
        state.update(bag.context_E.tobytes())
    if placements and bag.placements_NP is not None:
        state.update(bag.placements_NP.tobytes())
    return state.hexdigest()
