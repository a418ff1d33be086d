"""What the models of a run say of the tiles of one slide, from stored features wherever they are stored."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import compress
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tilewise.auditing.cohort import AuditedCohort, AuditedSlide
from tilewise.auditing.facts import digest_content
from tilewise.auditing.finding import Decisions, Findings
from tilewise.cohort import Slide
from tilewise.encoders import Encoder, build_encoder
from tilewise.errors import ArtifactError, NoTiles, UsageError
from tilewise.execution import Failure
from tilewise.folds import Folds
from tilewise.inference.classifier import ClassifierBundle, Member
from tilewise.models.networks import NetworkModel
from tilewise.pipeline.explain import check_kinds
from tilewise.pipeline.fold_models import load_fold_model
from tilewise.pipeline.ladder_inputs import LadderInputs
from tilewise.pipeline.slide_inputs import SlideInputs
from tilewise.pipeline.tile_preparer import TilePreparer
from tilewise.recipe import Recipe, parse_recipe
from tilewise.run_folder import RunFolder
from tilewise.stain.record import StainRecord
from tilewise.tiles.tileset import TileSet
from tilewise.tiles.window import Boxes
from tilewise.units import Size

_MOST_CACHED: Final = 256


@dataclass(frozen=True)
class TileHeat:
    """Values of a slide's tiles.

    Attributes:
        boxes: int64 (T, 4) as x, y, width, height in level-0 pixels.
        probabilities_TC: of each class.
        attention_TC: how much a tile counts for each class, times an equal share; None where tiles are not weighed.
        models: which models these are, in words.
    """

    boxes: Boxes
    probabilities_TC: npt.NDArray[np.float64]
    attention_TC: npt.NDArray[np.float64] | None
    models: str


class HeatMaker:
    """Makes the heat of a run's slides.

    Args:
        folder: of a finished run.
        slides: rows of the audit's table of slides that were kept, by id.
        made_masks: slide -> the mask that the run made of it.
    """

    def __init__(
        self,
        folder: RunFolder,
        slides: Mapping[str, Mapping[str, Any]],
        made_masks: Mapping[str, Path],
    ) -> None:
        self._folder = folder
        self._slides = slides
        self._made_masks = made_masks
        self._lock = threading.Lock()
        self._heat = lru_cache(_MOST_CACHED)(self._make)

    def of(self, name: str) -> TileHeat:
        """The heat of a slide.

        Raises:
            NoTiles: the slide yields no tile.
            TilewiseError: models, encoder or slide cannot be read.
        """
        with self._lock:
            return self._heat(name)

    @cached_property
    def _recipe(self) -> Recipe:
        return parse_recipe(self._folder.read_identity()["recipe"], f"the recipe of {self._folder.root}")

    @cached_property
    def _bundle(self) -> ClassifierBundle:
        return ClassifierBundle.load(self._folder.model)

    @cached_property
    def _encoder(self) -> Encoder | None:
        if self._recipe.training.input == "tiles":
            return None
        return build_encoder(self._recipe.encoder, offline=True, seed=self._bundle.seed, workers=1)

    @cached_property
    def _folds(self) -> Folds:
        return Folds.read(self._folder.folds)

    @cached_property
    def _tiles(self) -> TileSet:
        return TileSet.read(self._folder.tiles)[0]

    def _make(self, name: str) -> TileHeat:
        if name not in self._slides or not self._tiles.counts().get(name):
            raise NoTiles(f"{name}: it has no tiles in this run")
        if self._recipe.training.input == "features" and "made_by" in self._bundle.encoder:
            raise UsageError("the run was trained on features of another program; there are no pixels to look at")
        numbers: Sequence[int] = self._folds.testing.get(name, ())
        if numbers:
            numbers, models, words = self._models_of_folds(numbers)
            weights: Sequence[float] = (1 / len(models),) * len(models)
        else:
            models, weights = self._bundle.members, self._bundle.weights
            check_kinds(models)
            words = self._name_models(name)
        inputs = self._inputs(name, numbers)
        prediction = inputs.predict(models, (name,))
        if isinstance(models[0], NetworkModel):
            of_networks = inputs.tiles if isinstance(inputs, LadderInputs) else inputs
            source = of_networks.stores[0].source(name)  # type: ignore[attr-defined] # networks take tiles
            boxes = source.rows.boxes[:: source.input_spec.num_fields]
            return TileHeat(boxes, np.average(prediction.tiles[name], axis=0, weights=weights), None, words)
        values = []
        for index in range(len(self._bundle.classes)):
            each = inputs.tile_values(models, weights, class_indices={name: index}, prediction=prediction)
            ((_, value),) = each
            assert not isinstance(value, Failure)
            values.append(value)
        attention = [value.attention_T for value in values if value.attention_T is not None]
        return TileHeat(
            values[0].boxes,
            np.stack([value.probabilities_T for value in values], axis=1),
            np.stack(attention, axis=1) * len(values[0]) if attention else None,
            words,
        )

    def _models_of_folds(self, numbers: Sequence[int]) -> tuple[Sequence[int], Sequence[Member], str]:
        """The folds whose models are of the first one's kind, for maps of heads and networks have nothing in common."""
        models = tuple(load_fold_model(self._folder, self._recipe, number) for number in numbers)
        alike = [isinstance(model, NetworkModel) == isinstance(models[0], NetworkModel) for model in models]
        own, others = ([number for number, is_own in zip(numbers, alike, strict=True) if is_own is kind]
                       for kind in (True, False))  # fmt: skip
        words = f"{_name_folds(own)}, which did not learn from this slide"
        if others:
            kind = "head" if isinstance(models[0], NetworkModel) else "network"
            words += f"; other repeats chose a {kind} and have no part (fold {', '.join(map(str, others))})"
        return own, tuple(compress(models, alike)), words

    def _name_models(self, name: str) -> str:
        """The models that are deployed, and what a slide that no fold tested was to them."""
        models, folds = self._bundle.members, self._folds.folds
        words = "the one model of the run" if len(models) == 1 else f"all {len(models)} models of the run"
        learnt = {str(one["slide"]) for model in models for one in model.origin.get("pseudo", {}).get("added", ())}
        if name in learnt.union(*(fold.train for fold in folds)):
            return f"{words}, which learnt from this slide"
        if any(name in fold.validation for fold in folds):
            return f"{words}, in whose validation part this slide is"
        return f"{words}, which did not learn from this slide"

    def _inputs(self, name: str, numbers: Sequence[int]) -> SlideInputs[Any]:
        """The one slide as the models of these folds take it, or those that are deployed where there are none."""
        table = self._tiles.table
        tiles = replace(self._tiles, table=table[table["slide"] == name].reset_index(drop=True), skipped={})
        cohort = AuditedCohort((self._audited(name),), self._bundle.classes, Findings(), Decisions(), ())
        preparer, failures = TilePreparer(cohort, tiles, self._encoder, self._recipe).with_profiles(workers=1)
        preparer, more = preparer.with_context(workers=1)
        targets = StainRecord.read(self._folder.stain).targets if self._folder.stain.is_file() else ()
        if len(targets) > 1:
            targets = tuple(targets[number] for number in numbers) or self._bundle.targets
        inputs = preparer.prepare(targets, hold=False)
        for failure in (*failures, *more, *inputs.failures):
            raise ArtifactError(f"{failure.item}: {failure.message}")
        return inputs

    def _audited(self, name: str) -> AuditedSlide:
        row = self._slides[name]
        path = row["mask"]
        mask = self._made_masks.get(name) or (Path(path) if isinstance(path, str) else None)
        slide = Slide(name, Path(row["path"]), mask, row["label"])
        return AuditedSlide(
            slide=slide,
            size=Size(int(row["width"]), int(row["height"])),
            mpp=None if row["mpp"] is None or row["mpp"] != row["mpp"] else float(row["mpp"]),
            group=str(row["group"]),
            use_mask=bool(row["use_mask"]) or name in self._made_masks,
            content=digest_content(slide),
            pixel_digest="",
            notes=(),
        )


def _name_folds(numbers: Sequence[int]) -> str:
    if len(numbers) == 1:
        return f"the model of fold {numbers[0]}"
    *first, last = map(str, numbers)
    return f"the mean of the models of folds {', '.join(first)} and {last}, one of each repeat"
