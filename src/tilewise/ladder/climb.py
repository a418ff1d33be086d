"""One fold climbs: every rung is trained on inner folds, and the highest that gains is chosen."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from tilewise.errors import FoldsError
from tilewise.folds import Fold, FoldItem, FoldsConfig, derived_seed, make_folds
from tilewise.inference.network import SlideProbabilities
from tilewise.ladder.choice import LadderChoice, RungResult
from tilewise.ladder.config import LadderConfig
from tilewise.ladder.gain import gain_of
from tilewise.metrics import primary_score
from tilewise.training.fold_request import FoldRequest

_log = logging.getLogger(__name__)


class TrainsAndPredicts(Protocol):
    """Slides that models can be trained on and asked about."""

    def train(self, request: FoldRequest, *, out: Path) -> Any:
        """Train the model of a fold; a folder that holds it already is left as it is."""

    def predict(self, models: Sequence[Any], slide_ids: Sequence[str]) -> SlideProbabilities:
        """Probabilities of slides by each model."""


def climb(
    requests: Mapping[str, FoldRequest],
    config: LadderConfig,
    inputs: TrainsAndPredicts,
    *,
    level: float,
    out: Path,
    closed: Mapping[str, str] = MappingProxyType({}),
) -> LadderChoice:
    """Choose a rung for one fold, by inner folds of its train and validation part; its test part is not looked at.

    Args:
        requests: rung -> the fold as this rung trains it, the simplest rung first.
        config: how many inner folds, and what a gain has to exceed.
        inputs: slides of the fold.
        level: of the intervals.
        out: folder for the models of the inner folds, from which a stopped call goes on.
        closed: rung -> why it is not tried.
    """
    first, request = next(iter(requests.items()))
    try:
        inner = inner_folds(request, config)
    except FoldsError as error:
        _log.info("fold %d: %s", request.number, error)
        num_slides = len(request.fold.train) + len(request.fold.validation)
        inner, closed = (), dict.fromkeys(requests, f"{num_slides} slides make no inner folds")
    standing = RungResult(first, _scores(request, inner, inputs, out / "0"))
    results = [standing]
    for number, (name, request) in enumerate(requests.items()):
        if name == first:
            continue
        if name in closed:
            results.append(RungResult(name, reason=closed[name]))
            continue
        scores = _scores(request, inner, inputs, out / str(number))
        gain = gain_of(scores, standing.scores, num_folds=config.inner_folds, level=level)
        climbed = gain.exceeds(config.min_standard_errors)
        results.append(RungResult(name, scores, standing.name, gain.estimate, gain.standard_error, climbed))
        _log.info("fold %d: %s", request.number, results[-1])
        standing = results[-1] if climbed else standing
    return LadderChoice(tuple(results), standing.name, request.metric, level, config.min_standard_errors)


def inner_folds(request: FoldRequest, config: LadderConfig) -> tuple[Fold, ...]:
    """The inner folds of a fold, every repeat's, cut like the fold itself: three parts, by group.

    Raises:
        FoldsError: there are too few slides or groups.
    """
    names = (*request.fold.train, *request.fold.validation)
    items = [FoldItem(name, request.labels[name], request.groups.get(name)) for name in names]
    folds = FoldsConfig(
        num_folds=config.inner_folds,
        validation_fraction=min(0.5, len(request.fold.validation) / len(names)),
    )
    seeds = [derived_seed(request.seed, request.number, _INNER, repeat) for repeat in range(config.repeats)]
    return tuple(fold for seed in seeds for fold in make_folds(items, folds, seed=seed).folds)


_INNER = 1


def _scores(
    request: FoldRequest, inner: Sequence[Fold], inputs: TrainsAndPredicts, out: Path
) -> tuple[float | None, ...]:
    index = {label: position for position, label in enumerate(request.classes)}
    scores = []
    for number, fold in enumerate(inner):
        model = inputs.train(replace(request, fold=fold), out=out / str(number))
        prediction = inputs.predict((model,), fold.test)
        probabilities_SC = prediction.probabilities_MSC[0]
        truth_S = np.array([index[request.labels[name]] for name in prediction.slide_ids])
        scores.append(primary_score(request.metric, truth_S, probabilities_SC.argmax(axis=1), probabilities_SC))
    return tuple(scores)
