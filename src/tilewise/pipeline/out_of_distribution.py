"""What the training cohort's slides are like, measured on slides that each model did not know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tilewise.folds import Folds
from tilewise.inference.classifier import Member
from tilewise.inference.out_of_distribution import ReferenceDistribution, distance
from tilewise.models import FoldModel
from tilewise.pipeline.slide_inputs import FeatureInputs
from tilewise.pipeline.tile_preparer import CohortInputs


def fit_reference_distribution(
    models: Sequence[Member], folds: Folds, inputs: CohortInputs, num_tiles: Mapping[str, int]
) -> ReferenceDistribution:
    """Bounds of the training cohort, to be kept with the classifier.

    Args:
        models: one per fold.
        folds: of the run. Distances are those of each fold's validation and test slides.
        inputs: at the slides.
        num_tiles: slide -> tiles, of all slides that have some.
    """
    taught = {name for fold in folds.folds for name in (*fold.train, *fold.validation, *fold.test)}
    return ReferenceDistribution.of((num_tiles[name] for name in sorted(taught)), _distances(models, folds, inputs))


def _distances(models: Sequence[Member], folds: Folds, inputs: CohortInputs) -> Iterator[float]:
    for number, (model, fold) in enumerate(zip(models, folds.folds, strict=True)):
        slide_inputs = inputs.of(number)
        if isinstance(model, FoldModel) and isinstance(slide_inputs, FeatureInputs):
            yield from (distance(model, slide_inputs.bags[name]) for name in (*fold.validation, *fold.test))
