"""All slides of a cohort as models take them: as feature bags, or as decoded tiles.

What is trained differs between the two, what is asked of them does not. The code that trains is imported where training
starts: who predicts never loads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from tilewise.compute import default_threads, find_device
from tilewise.execution import Failure
from tilewise.explain.values import TileValues, values_of_heads, values_of_networks
from tilewise.extraction.bag import FeatureBag
from tilewise.folds import Fold
from tilewise.inference.classifier import Member, for_each, predict_bags
from tilewise.inference.network import InferenceOptions, SlideProbabilities, predict_slides
from tilewise.inference.out_of_distribution import distance
from tilewise.inference.tilestore import TileStore
from tilewise.models import FoldModel
from tilewise.models.networks import NetworkModel
from tilewise.recipe import Recipe
from tilewise.stain.profile import StainProfile

if TYPE_CHECKING:
    from tilewise.training.fold_request import FoldRequest

Floats = npt.NDArray[np.float64]
Model = TypeVar("Model")
Item = TypeVar("Item")


class SlideInputs(Protocol[Model]):
    """Slides as models take them: the same for all models, or for each in the stain of a target of its own."""

    @property
    def targets(self) -> tuple[StainProfile, ...]:
        """What stains are brought to: one target for all models, or one for each; none where stains are left alone."""

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Slides that could not be read; they are not among the others."""

    def __iter__(self) -> Iterator[str]:
        """Names of the slides, in order."""

    def of(self, *numbers: int) -> SlideInputs[Model]:
        """The inputs of some of the models, in this order."""

    def train(self, request: FoldRequest, *, out: Path) -> Model:
        """Train the model of a fold and write it; a folder that holds it already is left as it is.

        Raises:
            TrainingError: training could not go on.
        """

    def predict(self, models: Sequence[Model], slide_ids: Sequence[str]) -> SlideProbabilities:
        """Probabilities of slides by each model; tiles that only training may see are left out."""

    def distances(self, models: Sequence[Model], slide_ids: Sequence[str]) -> Floats | None:
        """How far slides lie from those each model learnt from, float64 (M, S); None where models take pixels."""

    def tile_values(
        self,
        models: Sequence[Model],
        weights: Sequence[float],
        *,
        class_indices: Mapping[str, int],
        prediction: SlideProbabilities,
        occluded_tiles: int = 0,
    ) -> Iterator[tuple[str, TileValues | Failure]]:
        """What models say of the tiles of each slide about one class.

        Args:
            models: of one classifier.
            weights: of the models, summing to 1.
            class_indices: slide -> the class.
            prediction: of these slides by the same models.
            occluded_tiles: tiles of each slide that networks see without parts of them; from 1 on heads see each slide
                without each of its tiles.
        """

    def num_unnormalised(self) -> dict[str, int]:
        """Slide -> tiles that keep their own colours although each was to be normalised by itself."""


@dataclass(frozen=True)
class FeatureInputs:
    """Slides whose tiles a frozen encoder has put into vectors, for heads.

    Attributes:
        bags: slide -> its vectors, once for all heads or once for each.
        targets: see `SlideInputs`.
        failures: likewise.
    """

    bags: tuple[Mapping[str, FeatureBag], ...]
    targets: tuple[StainProfile, ...] = ()
    failures: tuple[Failure, ...] = ()

    def __iter__(self) -> Iterator[str]:
        return iter(self.bags[0])

    def of(self, *numbers: int) -> FeatureInputs:
        """See `SlideInputs`."""
        return replace(self, bags=_chosen(self.bags, numbers), targets=_chosen(self.targets, numbers))

    @property
    def mean_vectors(self) -> dict[str, npt.NDArray[np.float32]]:
        """Slide -> mean of its tiles' vectors, float32 (D,)."""
        return {name: bag.features_ND.mean(axis=0) for name, bag in self.bags[0].items()}

    def train(self, request: FoldRequest, *, out: Path) -> FoldModel:
        """See `SlideInputs`."""
        from tilewise.training.fold import train_fold

        (bags,) = self.of(request.number).bags
        return train_fold(request, bags, out=out)

    def predict(self, models: Sequence[FoldModel], slide_ids: Sequence[str]) -> SlideProbabilities:
        """See `SlideInputs`."""
        chosen = [{name: bags[name] for name in slide_ids} for bags in self.bags]
        probabilities_MSC = np.stack(
            [predict_bags(head, bags) for head, bags in zip(models, for_each(chosen, models), strict=True)]
        )
        counts = np.array([len(bag.features_ND) for bag in chosen[0].values()], dtype=np.int64)
        unnormalised = np.array([self.bags[0][name].num_unnormalised for name in slide_ids], dtype=np.int64)
        return SlideProbabilities(tuple(slide_ids), probabilities_MSC, counts, unnormalised)

    def distances(self, models: Sequence[FoldModel], slide_ids: Sequence[str]) -> Floats:
        """See `SlideInputs`."""
        pairs = zip(models, for_each(self.bags, models), strict=True)
        return np.array([[distance(head, bags[name]) for name in slide_ids] for head, bags in pairs])

    def tile_values(
        self,
        models: Sequence[FoldModel],
        weights: Sequence[float],
        *,
        class_indices: Mapping[str, int],
        prediction: SlideProbabilities,  # noqa: ARG002 - networks need it
        occluded_tiles: int = 0,
    ) -> Iterator[tuple[str, TileValues | Failure]]:
        """See `SlideInputs`."""
        each = for_each(self.bags, models)
        for name, index in class_indices.items():
            yield (
                name,
                values_of_heads(models, weights, [bags[name] for bags in each], index, occlude=occluded_tiles > 0),
            )

    def num_unnormalised(self) -> dict[str, int]:
        """See `SlideInputs`."""
        return {name: bag.num_unnormalised for name, bag in self.bags[0].items()}


@dataclass(frozen=True)
class TileInputs:
    """Slides whose tiles are decoded, for networks.

    Attributes:
        stores: of their tiles, one for all networks or one for each.
        recipe: how networks look at them.
        targets: see `SlideInputs`.
        failures: likewise.
        left_out: slides of the stores that take no part.
    """

    stores: tuple[TileStore, ...]
    recipe: Recipe
    targets: tuple[StainProfile, ...] = ()
    failures: tuple[Failure, ...] = ()
    left_out: frozenset[str] = frozenset()

    def __iter__(self) -> Iterator[str]:
        return (name for name in self.stores[0].slide_ids if name not in self.left_out)

    def of(self, *numbers: int) -> TileInputs:
        """See `SlideInputs`."""
        return replace(self, stores=_chosen(self.stores, numbers), targets=_chosen(self.targets, numbers))

    def train(self, request: FoldRequest, *, out: Path) -> NetworkModel:
        """See `SlideInputs`."""
        from tilewise.training.network_fold import train_network_fold

        (store,) = self.of(request.number).stores
        return train_network_fold(request, store, out=out)

    def predict(self, models: Sequence[NetworkModel], slide_ids: Sequence[str]) -> SlideProbabilities:
        """See `SlideInputs`."""
        options = self._options()
        if len(self.stores) == 1:  # a slide is decoded once for all networks
            return predict_slides(models, self.stores[0], slide_ids, options)
        pairs = zip(models, self.stores, strict=True)
        return SlideProbabilities.join([predict_slides((one,), store, slide_ids, options) for one, store in pairs])

    def distances(self, models: Sequence[NetworkModel], slide_ids: Sequence[str]) -> None:  # noqa: ARG002
        """See `SlideInputs`."""
        return

    def tile_values(
        self,
        models: Sequence[NetworkModel],
        weights: Sequence[float],
        *,
        class_indices: Mapping[str, int],
        prediction: SlideProbabilities,
        occluded_tiles: int = 0,
    ) -> Iterator[tuple[str, TileValues | Failure]]:
        """See `SlideInputs`."""
        options = self._options()
        return values_of_networks(
            models,
            weights,
            self.stores,
            options,
            class_indices=class_indices,
            probabilities=prediction.tiles,
            occluded_tiles=occluded_tiles,
        )

    def num_unnormalised(self) -> dict[str, int]:
        """See `SlideInputs`; slides are decoded where their tiles are not held."""
        return {name: self.stores[0][name].num_unnormalised for name in self}

    def _options(self) -> InferenceOptions:
        training = self.recipe.training
        return InferenceOptions(
            views=self.recipe.views,
            num_threads=training.epoch_config.num_threads or default_threads(),
            device=find_device(training.engine.device, training.step.precision).type,
        )


def train_with_unlabelled(inputs: SlideInputs[Any], request: FoldRequest, *, out: Path) -> Member:
    """Train the model of a fold, with slides without a label if `pseudo` of the recipe says so.

    Args:
        inputs: all slides.
        request: the fold, and the slides without a label that may take part in it.
        out: folder of the fold.

    Raises:
        TrainingError: training could not go on.
    """
    from tilewise.training.pseudo.rounds import ModelTrainer, PseudoTask, train_with_pseudo

    def train(fold: Fold, labels: Mapping[str, str], folder: Path) -> Member:
        model: Member = inputs.train(replace(request, fold=fold, labels=labels), out=folder)
        return model

    def predict(member: Member, names: Sequence[str]) -> dict[str, npt.NDArray[np.float64]]:
        prediction = inputs.of(request.number).predict((member,), names)
        return dict(zip(prediction.slide_ids, prediction.probabilities_MSC[0], strict=True))

    pseudo = request.pseudo
    if pseudo.method == "none":
        model: Member = inputs.train(request, out=out)
        return model
    slide_ids = request.unlabelled
    task = PseudoTask(request.number, request.fold, request.labels, request.classes, slide_ids, pseudo)
    return train_with_pseudo(task, ModelTrainer(train, predict), out=out)


def _chosen(items: tuple[Item, ...], numbers: Sequence[int]) -> tuple[Item, ...]:
    """Those of some models, where each model has one of its own."""
    return tuple(items[number] for number in numbers) if len(items) > 1 else items
