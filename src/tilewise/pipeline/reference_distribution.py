"""What the training cohort's slides are like, measured on slides that each model did not know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tilewise.folds import Folds
from tilewise.inference.classifier import Member
from tilewise.inference.out_of_distribution import ReferenceDistribution
from tilewise.pipeline.slide_inputs import SlideInputs


def fit_reference_distribution(
    models: Sequence[Member], folds: Folds, inputs: SlideInputs[Any], num_tiles: Mapping[str, int]
) -> ReferenceDistribution:
    """Bounds of the training cohort, to be kept with the classifier.

    Args:
        models: one per fold.
        folds: of the run. Distances are those of each fold's slides that its model did not learn from.
        inputs: of the slides.
        num_tiles: slide -> tiles, of all slides that have some.
    """
    taught = {name for fold in folds.folds for name in (*fold.train, *fold.validation, *fold.test)}
    return ReferenceDistribution.of((num_tiles[name] for name in sorted(taught)), _distances(models, folds, inputs))


def _distances(models: Sequence[Member], folds: Folds, inputs: SlideInputs[Any]) -> Iterator[float]:
    for number, (model, fold) in enumerate(zip(models, folds.folds, strict=True)):
        unknown = fold.test if model.origin.get("validation") else (*fold.validation, *fold.test)
        distances_MS = inputs.of(number).distances((model,), unknown)
        if distances_MS is not None:
            yield from distances_MS[0].tolist()
