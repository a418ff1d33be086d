"""What the training cohort's slides are like, measured on slides that each model did not know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tilewise.folds import Folds
from tilewise.inference.classifier import Member
from tilewise.inference.usual import Usual, distance
from tilewise.models import FoldModel
from tilewise.pipeline.looks import Looks
from tilewise.pipeline.seen import SeenAsFeatures


def usual_of(models: Sequence[Member], folds: Folds, looks: Looks, num_tiles: Mapping[str, int]) -> Usual:
    """Bounds of the training cohort, to be kept with the classifier.

    Args:
        models: one per fold.
        folds: of the run. Distances are those of each fold's select and test slides.
        looks: at the slides.
        num_tiles: slide -> tiles, of all slides that have some.
    """
    taught = {name for fold in folds.folds for name in (*fold.train, *fold.select, *fold.test)}
    return Usual.of((num_tiles[name] for name in sorted(taught)), _distances(models, folds, looks))


def _distances(models: Sequence[Member], folds: Folds, looks: Looks) -> Iterator[float]:
    for number, (model, fold) in enumerate(zip(models, folds.folds, strict=True)):
        seen = looks.of(number)
        if isinstance(model, FoldModel) and isinstance(seen, SeenAsFeatures):
            yield from (distance(model, seen.bags[name]) for name in (*fold.select, *fold.test))
