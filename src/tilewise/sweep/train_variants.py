"""Variants are trained: networks one by one, and heads on features beside each other once their features are there.

A network on pixels takes every processor by itself, as features do while they are made. A head takes one processor, so
that as many variants are trained at a time as there are processors.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from tilewise.compute import num_processors
from tilewise.errors import TilewiseError
from tilewise.execution import Failure, current_ray, run_each, task
from tilewise.pipeline.shared_stages import SharedStages, training_digest
from tilewise.pipeline.train import prepare_run, train
from tilewise.run_folder import RunFolder
from tilewise.store import digest_config
from tilewise.sweep.variants import Variant

_log = logging.getLogger(__name__)

# What features are made by; the first variant of each way fills the cache for the others.
OF_FEATURES = ("audit", "segment", "tiles", "stain", "encoder", "features")


@dataclass(frozen=True)
class VariantResult:
    """What became of one variant.

    Attributes:
        variant: the variant.
        folder: of its run.
        seconds: that it took, whatever it could share taken for granted; None where it was there before.
        error: why it has no run; None where it has one.
    """

    variant: Variant
    folder: RunFolder
    seconds: float | None = None
    error: str | None = None


@dataclass(frozen=True)
class Place:
    """A variant, its row from 1, and the folder of its run."""

    number: int
    variant: Variant
    folder: RunFolder


Note = Callable[[Sequence[tuple[int, VariantResult]]], None]


def train_variants(places: Sequence[Place], shared: SharedStages, note: Note) -> None:
    """Train every variant; `note` hears of each, in whatever order they are done.

    Args:
        places: of all variants, in the order of their rows.
        shared: what they have in common.
        note: is called with rows and what became of them.
    """
    makers = _makers(places)
    # The last features, which are often the only ones, are made alone: whoever makes them is trained beside the others.
    together = [
        place for place in places if place.variant.recipe.training.input == "features" and place not in makers[:-1]
    ]
    with task("variants", len(places)) as bar:
        for place in places:
            if place not in together:
                note([(place.number, _train(place, shared))])
                bar.advance()

        def tell(_: str, became: list[tuple[int, VariantResult]] | Failure) -> None:
            if not isinstance(became, Failure):
                note(became)
                bar.advance(len(became))

        jobs = _chains(together)
        workers = shared.resources.workers
        if current_ray() is None:
            workers = min(workers or num_processors(), len(jobs))
        if workers == 1:
            work = partial(_work, shared)
        else:
            for place in makers[-1:]:
                _prepare(place, shared)
            # Ray hands a process its function once; processes of this machine get it with every job.
            work = partial(_work if current_ray() else _work_apart, shared.for_worker())
        outcome = run_each(work, jobs, stage="heads", workers=workers, on_result=tell)
        for failure in outcome.failures:  # its process died; whatever else stops a variant it says itself
            lost = [(place.number, VariantResult(place.variant, place.folder, error=failure.message))
                    for place in jobs[failure.item]]  # fmt: skip
            note(lost)
            bar.advance(len(lost))


def _makers(places: Sequence[Place]) -> list[Place]:
    """The first variant of each way in which features are made; those of its kind find them in the cache."""
    makers: dict[str, Place] = {}
    for place in places:
        recipe = place.variant.recipe
        if recipe.training.input == "features":
            makers.setdefault(digest_config([getattr(recipe, name) for name in OF_FEATURES]), place)
    return list(makers.values())


def _chains(places: Sequence[Place]) -> dict[str, tuple[Place, ...]]:
    chains: dict[str, list[Place]] = {}
    for place in places:
        chains.setdefault(training_digest(place.variant.recipe), []).append(place)
    return {chain[0].variant.name: tuple(chain) for chain in chains.values()}


# Of a worker process, which serves one sweep: what its variants have in common, so that it makes an encoder once.
_own: list[SharedStages] = []


def _work_apart(shared: SharedStages, chain: tuple[Place, ...]) -> list[tuple[int, VariantResult]]:
    if not _own:
        _own.append(shared)
    return _work(_own[0], chain)


def _work(shared: SharedStages, chain: tuple[Place, ...]) -> list[tuple[int, VariantResult]]:
    """Train variants whose folds are trained alike, one after the other, so that only the first of them trains."""
    return [(place.number, _train(place, shared)) for place in chain]


def _prepare(place: Place, shared: SharedStages) -> None:
    try:
        prepare_run(place.variant.recipe, place.folder.root, shared)
    except TilewiseError:  # its training will meet it again, and say it
        _log.debug("variant %s", place.variant.name, exc_info=True)


def _train(place: Place, shared: SharedStages) -> VariantResult:
    was_there, start = place.folder.is_finished, time.perf_counter()
    try:
        train(place.variant.recipe, place.folder.root, shared)
    except TilewiseError as error:
        _log.debug("variant %s", place.variant.name, exc_info=True)
        return VariantResult(place.variant, place.folder, error=str(error))
    seconds = None if was_there else round(time.perf_counter() - start, 2)
    return VariantResult(place.variant, place.folder, seconds)
