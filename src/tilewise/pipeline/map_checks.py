"""The checks of maps, made with the slides of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tilewise.auditing.cohort import AuditedSlide
from tilewise.cohort import read_mask
from tilewise.errors import ArtifactError, SlideError
from tilewise.execution import Failure, task
from tilewise.explain.checks import Localisation, MapCheck, Mask, agree_with_occlusion, correlate, localise, randomised
from tilewise.explain.slide import SlideExplained, heat_of
from tilewise.inference.classifier import Member
from tilewise.models.networks import NetworkModel
from tilewise.pipeline.slide_inputs import SlideInputs
from tilewise.store import read_json
from tilewise.units import Size

_DRAWS = {False: 5, True: 1}  # of random weights, by whether networks have to see every tile again
_CANVAS_SIDE = 160
_SCHEMA, _VERSION = "tilewise.synthetic_truth", 1


@dataclass(frozen=True)
class ExplainedGroup:
    """Slides that the same models explain: those of one fold, or new ones.

    Attributes:
        models: of the classifier.
        weights: of the models, summing to 1.
        inputs: the slides as the models take them.
        explained: the slides.
    """

    models: tuple[Member, ...]
    weights: tuple[float, ...]
    inputs: SlideInputs[Any]
    explained: tuple[SlideExplained, ...]


def check_maps(groups: Sequence[ExplainedGroup], classes: Sequence[str], root: Path) -> tuple[MapCheck, ...]:
    """Check the maps of slides, one result for each kind of map.

    Args:
        groups: the slides by the models that explain them.
        classes: in the order of the probability columns.
        root: folder of the cohort; where it was drawn, its `truth` says where the signal is.
    """
    random_shares: dict[str, dict[str, float]] = {}
    localisations: dict[str, dict[str, Localisation]] = {}
    has_signal = planted_signal(root)
    explained = [one for group in groups for one in group.explained]
    agreements = {
        one.slide.slide_id: value for one in explained if (value := agree_with_occlusion(one.values)) is not None
    }
    for group in groups:
        for slide, each in _random_shares(group, classes).items():
            for name, value in each.items():
                random_shares.setdefault(name, {})[slide] = value
        for one in group.explained if has_signal else ():
            for name, localisation in _localisations(one).items():
                localisations.setdefault(name, {})[one.slide.slide_id] = localisation
    return tuple(
        MapCheck(
            name,
            random_shares.get(name, {}),
            localisations.get(name, {}),
            agreements if name == "activation" else {},
        )
        for name in ("probability", "attention", "activation", "occlusion")
        if name in random_shares or name in localisations
    )


def planted_signal(root: Path) -> bool:
    """Whether a cohort was drawn with its signal in the tissue of whole masks, as its `truth` says."""
    path = root / "truth" / "truth.json"
    if not path.is_file():
        return False
    try:
        config = read_json(path, schema=_SCHEMA, version=_VERSION).get("config", {})
    except ArtifactError:
        return False
    is_in_tissue = (config.get("signal"), config.get("source", "drawn")) == ("texture", "drawn")
    return is_in_tissue and not config.get("faults")  # masks of faulty slides do not mark the signal


def _random_shares(group: ExplainedGroup, classes: Sequence[str]) -> Mapping[str, Mapping[str, float]]:
    """Slide -> map -> share of its ranks that random weights explain, too, mean over draws."""
    indices = {one.slide.slide_id: classes.index(one.class_name) for one in group.explained}
    trained = {one.slide.slide_id: one.values for one in group.explained}
    num_draws = _DRAWS[any(isinstance(model, NetworkModel) for model in group.models)]
    draws: dict[str, dict[str, list[float]]] = {name: {} for name in indices}
    with task("checking maps", num_draws * len(indices)) as bar:
        for seed in range(num_draws):
            models = [randomised(model, seed) for model in group.models]
            prediction = group.inputs.predict(models, tuple(indices))
            for slide, values in group.inputs.tile_values(
                models, group.weights, class_indices=indices, prediction=prediction
            ):
                bar.advance()
                if not isinstance(values, Failure):
                    for name, value in correlate(trained[slide], values).items():
                        draws[slide].setdefault(name, []).append(value)
    return {slide: {name: float(np.mean(values)) for name, values in each.items()} for slide, each in draws.items()}


def _localisations(one: SlideExplained) -> dict[str, Localisation]:
    """Map -> how it lies to the mask, where the signal was planted."""
    signal = one.slide
    if one.class_name != (one.label or one.class_name) or signal.slide.mask_path is None or not signal.use_mask:
        return {}
    scale = _CANVAS_SIDE / max(signal.size.width, signal.size.height)
    canvas = Size(max(1, round(signal.size.width * scale)), max(1, round(signal.size.height * scale)))
    try:
        signal_HW = _small_mask(signal, canvas)
    except SlideError:
        return {}
    heat = heat_of(one.values, signal.size, canvas)
    if not _has_tile_beside(one, signal_HW, canvas):
        # A tile has one value, and most of each lies on the signal.
        heat = {name: map_HW for name, map_HW in heat.items() if name == "activation"}
    each = {name: localise(map_HW, signal_HW) for name, map_HW in heat.items()}
    return {name: localisation for name, localisation in each.items() if localisation is not None}


def _has_tile_beside(one: SlideExplained, signal_HW: Mask, canvas: Size) -> bool:
    """Whether a tile has less than a tenth of the signal in it."""
    scale = canvas.width / one.slide.size.width
    for x, y, width, height in (one.values.boxes * scale).round().astype(int).tolist():
        if signal_HW[y : y + max(1, height), x : x + max(1, width)].mean() < 0.1:
            return True
    return False


def _small_mask(item: AuditedSlide, canvas: Size) -> Mask:
    mask_HW, _ = read_mask(item.slide, item.size)
    small_HW: Mask = cv2.resize(mask_HW.astype(np.float32), canvas, interpolation=cv2.INTER_AREA) >= 0.5
    return small_HW
