"""A fold that an earlier run finished, and classes as numbers: the same for heads and for networks."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from tilewise.errors import ArtifactError
from tilewise.models import FoldModel
from tilewise.models.files import ABOUT_NAME
from tilewise.models.networks import NetworkModel
from tilewise.training.history import HISTORY_NAME

_log = logging.getLogger(__name__)

Model = TypeVar("Model", FoldModel, NetworkModel)


def load_finished_fold(kind: type[Model], out: Path, inputs: str) -> Model | None:
    """The model in a fold's folder, if it is whole and of these inputs.

    Args:
        kind: what it is.
        out: folder of the fold.
        inputs: digest of everything it has to follow from.
    """
    if not (out / HISTORY_NAME).is_file() or not (out / ABOUT_NAME).is_file():
        return None
    try:
        model = kind.load(out)
    except ArtifactError as error:
        _log.info("%s; it is trained again", error)
        return None
    return model if model.origin.get("inputs") == inputs else None


def class_indices(labels: Mapping[str, str], classes: Sequence[str]) -> dict[str, int]:
    """Slide -> position of its class among the columns of probabilities."""
    index = {label: position for position, label in enumerate(classes)}
    return {slide_id: index[label] for slide_id, label in labels.items()}
