"""All slides of a cohort as models are shown them: as feature bags, or as decoded tiles.

What is trained differs between the two, what is asked of them does not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tilewise.encoders.runtime import num_processors
from tilewise.execution import Failure
from tilewise.features.bag import FeatureBag
from tilewise.folds import Fold
from tilewise.inference.classifier import Member, predict_bags
from tilewise.inference.network import InferenceOptions, SlideProbabilities, predict_slides
from tilewise.inference.tilestore import TileStore
from tilewise.models import FoldModel
from tilewise.models.networks import NetworkModel
from tilewise.recipe import Recipe
from tilewise.training.fold import FoldTask, train_fold
from tilewise.training.networks.fold import PixelFoldTask, train_pixel_fold
from tilewise.training.pseudo.rounds import PseudoTask, Trainer, train_with_pseudo


@dataclass(frozen=True)
class FoldRequest:
    """One fold that a model is to be trained on.

    Attributes:
        number: of the fold, from 0.
        fold: its three parts.
        labels: slide id -> class.
        classes: in the order of the probability columns.
        recipe: how.
        seed: of the run.
        offline: never reach for the network to fetch weights.
        unlabelled: slides without a label that may take part in the fold.
    """

    number: int
    fold: Fold
    labels: Mapping[str, str]
    classes: tuple[str, ...]
    recipe: Recipe
    seed: int
    offline: bool
    unlabelled: tuple[str, ...] = ()


class SlideInputs(Protocol):
    """Slides in one stain."""

    def __iter__(self) -> Iterator[str]:
        """Their names, in order."""

    def but(self, names: Collection[str]) -> SlideInputs:
        """The same without some slides."""

    def train(self, request: FoldRequest, *, out: Path) -> Member:
        """Train the model of a fold and write it; a folder that holds it already is left as it is.

        Raises:
            TrainingError: training could not go on.
        """

    def predict(self, members: Sequence[Member], slide_ids: Sequence[str]) -> SlideProbabilities:
        """What members say of slides; tiles that only training may see are left out."""

    def num_unnormalised(self) -> dict[str, int]:
        """Slide -> tiles that keep their own colours although each was to be normalised by itself."""


@dataclass(frozen=True)
class FeatureInputs:
    """Slides whose tiles a frozen encoder has put into vectors.

    Attributes:
        bags: slide -> its vectors.
    """

    bags: Mapping[str, FeatureBag]

    def __iter__(self) -> Iterator[str]:
        return iter(self.bags)

    def but(self, names: Collection[str]) -> FeatureInputs:
        """See `SlideInputs`."""
        return FeatureInputs({name: bag for name, bag in self.bags.items() if name not in names})

    def train(self, request: FoldRequest, *, out: Path) -> Member:
        """See `SlideInputs`."""
        recipe = request.recipe
        task = FoldTask(
            number=request.number,
            fold=request.fold,
            labels=request.labels,
            classes=request.classes,
            head=recipe.head,
            training=recipe.training,
            seed=request.seed,
            metric=recipe.evaluation.metric,
        )
        return train_fold(task, self.bags, out=out)

    def predict(self, members: Sequence[Member], slide_ids: Sequence[str]) -> SlideProbabilities:
        """See `SlideInputs`."""
        bags = {name: self.bags[name].scored() for name in slide_ids}
        heads = [member for member in members if isinstance(member, FoldModel)]
        unnormalised = np.array([bag.num_unnormalised for bag in bags.values()], dtype=np.int64)
        counts = np.array([len(bag.features_ND) for bag in bags.values()], dtype=np.int64)
        return SlideProbabilities(
            tuple(bags), np.stack([predict_bags(head, bags) for head in heads]), counts, unnormalised
        )

    def num_unnormalised(self) -> dict[str, int]:
        """See `SlideInputs`."""
        return {name: bag.num_unnormalised for name, bag in self.bags.items()}


@dataclass(frozen=True)
class TileInputs:
    """Slides whose tiles are decoded, for networks.

    Attributes:
        store: of their tiles.
        recipe: how networks look at them.
        left_out: slides of the store that take no part.
        unnormalised: what `num_unnormalised` says, of the slides that were looked at so far.
    """

    store: TileStore
    recipe: Recipe
    left_out: frozenset[str] = frozenset()
    unnormalised: dict[str, int] = field(default_factory=dict)

    def __iter__(self) -> Iterator[str]:
        return (name for name in self.store.slide_ids if name not in self.left_out)

    def but(self, names: Collection[str]) -> TileInputs:
        """See `SlideInputs`."""
        return replace(self, left_out=self.left_out.union(names))

    def train(self, request: FoldRequest, *, out: Path) -> Member:
        """See `SlideInputs`."""
        recipe = request.recipe
        task = PixelFoldTask(
            number=request.number,
            fold=request.fold,
            labels=request.labels,
            classes=request.classes,
            network=recipe.network,
            encoder=recipe.encoder,
            head=recipe.head,
            training=recipe.training,
            augment=recipe.augment,
            seed=request.seed,
            offline=request.offline,
            synthesis=recipe.synthesis,
            pretrain=recipe.pretrain,
            unlabelled=request.unlabelled if recipe.pretrain.use_unlabelled else (),
            metric=recipe.evaluation.metric,
        )
        return train_pixel_fold(task, self.store, out=out)

    def predict(self, members: Sequence[Member], slide_ids: Sequence[str]) -> SlideProbabilities:
        """See `SlideInputs`."""
        from tilewise.training.networks.engine import find_device

        networks = [member for member in members if isinstance(member, NetworkModel)]
        training = self.recipe.training
        options = InferenceOptions(
            views=self.recipe.views,
            num_threads=training.epoch_config.num_threads or num_processors(),
            device=find_device(training).type,
        )
        prediction = predict_slides(networks, self.store, slide_ids, options)
        self.unnormalised.update(zip(prediction.slide_ids, prediction.num_unnormalised_S.tolist(), strict=True))
        return prediction

    def num_unnormalised(self) -> dict[str, int]:
        """See `SlideInputs`."""
        return self.unnormalised


def train_with_unlabelled(inputs: SlideInputs, request: FoldRequest, *, out: Path) -> Member:
    """Train the model of a fold, with slides without a label if `pseudo` of the recipe says so.

    Args:
        inputs: all slides.
        request: the fold, and the slides without a label that may take part in it.
        out: folder of the fold.

    Raises:
        TrainingError: training could not go on.
    """

    def train(fold: Fold, labels: Mapping[str, str], folder: Path) -> Member:
        return inputs.train(replace(request, fold=fold, labels=labels), out=folder)

    def predict(member: Member, names: Sequence[str]) -> dict[str, npt.NDArray[np.float64]]:
        prediction = inputs.predict((member,), names)
        return dict(zip(prediction.slide_ids, prediction.probabilities_MSC[0], strict=True))

    pseudo = request.recipe.pseudo
    if pseudo.method == "none":
        return inputs.train(request, out=out)
    slide_ids = request.unlabelled
    task = PseudoTask(request.number, request.fold, request.labels, request.classes, slide_ids, pseudo)
    return train_with_pseudo(task, Trainer(train, predict), out=out)


def fill(inputs: TileInputs) -> tuple[Failure, ...]:
    """Decode all slides and hold them; returns those that could not be read."""
    names = list(inputs)
    failures = inputs.store.fill(names)
    lost = {failure.item for failure in failures}
    inputs.unnormalised.update({name: inputs.store[name].num_unnormalised for name in names if name not in lost})
    return failures
