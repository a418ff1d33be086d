"""Trials are made, one after the other, by every process that searches here."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from functools import partial
from statistics import median

import numpy as np

from tilewise.errors import TilewiseError
from tilewise.execution import Task, current_ray, run_each
from tilewise.metrics import PrimaryMetric, primary_score
from tilewise.pipeline.fold_jobs import training_claim
from tilewise.pipeline.shared_stages import SharedStages
from tilewise.pipeline.trial_folds import TrialFolds
from tilewise.recipe import Recipe
from tilewise.run_folder import RunFolder
from tilewise.tuning.study import OpenTrial, Study

_log = logging.getLogger(__name__)

_PAUSE = 0.5  # seconds between looks at trials of other processes


@dataclass(frozen=True)
class Search:
    """What all trials have in common.

    Attributes:
        recipe: whose keys are varied.
        shared: seed, folds and machine.
        num_trials: in all, those of earlier calls counted in.
        deadline: when the search ends, by `time.monotonic`; None: when all trials are made.
    """

    recipe: Recipe
    shared: SharedStages
    num_trials: int
    deadline: float | None = None

    @property
    def seconds_left(self) -> float:
        """Until the deadline."""
        return np.inf if self.deadline is None else self.deadline - time.monotonic()


def run_trials(study: Study, search: Search, bar: Task) -> None:
    """Make trials until all are made or the time is over; other processes may do the same at the same time.

    A trial that would take longer than is left, by the median of those before it, is not begun.
    """
    num_known = _run_on_cluster(study, search, bar)
    while True:
        trials = study.trials()
        bar.advance(len(trials) - num_known)
        num_known = len(trials)
        if search.seconds_left < median([trial.seconds or 0.0 for trial in trials] or [0.0]):
            return
        trial = study.claim(search.num_trials)
        if trial == "done":
            return
        if trial == "wait":
            time.sleep(_PAUSE)
            continue
        run_trial(trial, search)
        study.remove_models()


def _run_on_cluster(study: Study, search: Search, bar: Task) -> int:
    """Make trials on a cluster, if there is one, as many at a time as it has room for; how many there are by then.

    What is left where a node or the time ran out is made here.
    """
    if current_ray() is None:
        return 0
    num_known = 0

    def count(*_: object) -> None:
        nonlocal num_known
        num_made = len(study.trials())
        bar.advance(num_made - num_known)
        num_known = num_made

    count()
    remote = replace(search, shared=search.shared.for_worker(), deadline=None)
    work = partial(_claim_and_run, study, remote, time.time() + search.seconds_left)
    items = {f"trial {number}": number for number in range(num_known, search.num_trials)}
    # A task makes whichever trial is the next, on pixels too where some branch of the space says so.
    claim = training_claim(*(search.recipe.with_(**settings).training for settings in study.space.extremes()))
    workers = search.shared.resources.workers
    outcome = run_each(work, items, stage="searching", workers=workers, on_result=count, claim=claim)
    if outcome.failures:
        first = outcome.failures[0]
        _log.warning(
            "%d of %d tasks on the cluster ended without a trial, the first by %s: %s; what is left is made here",
            len(outcome.failures), len(items), first.error, first.message,
        )  # fmt: skip
    return num_known


def _claim_and_run(study: Study, search: Search, ends: float, number: int) -> None:
    """Make the next trial, whichever it is."""
    del number
    search = replace(search, deadline=time.monotonic() + ends - time.time())
    if search.seconds_left < median([trial.seconds or 0.0 for trial in study.trials()] or [0.0]):
        return
    trial = study.claim(search.num_trials)
    if not isinstance(trial, str):
        run_trial(trial, search)
        study.remove_models()


def run_trial(trial: OpenTrial, search: Search) -> None:
    """Train fold after fold and score each on its own validation part; nothing else of the cohort is looked at."""
    start = time.monotonic()
    try:
        recipe = search.recipe.with_(**trial.settings)
        trained = TrialFolds.prepare(recipe, RunFolder(trial.folder), search.shared)
        for number, fold in enumerate(trained.folds.folds):
            if search.seconds_left <= 0.0:
                trial.stop()
                return
            value = validation_score(trained, number, recipe.evaluation.metric) if fold.validation else None
            if value is not None and trial.report(number, value) and number + 1 < len(trained.folds.folds):
                trial.prune(time.monotonic() - start)
                return
        trial.finish(time.monotonic() - start)
    except TilewiseError as error:
        _log.info("trial %d: %s", trial.number, error)
        trial.fail(str(error), time.monotonic() - start)


def validation_score(trained: TrialFolds, number: int, metric: PrimaryMetric) -> float | None:
    """The metric on the validation part of a fold; None where it is not defined there."""
    table = trained.predict(trained.train(number), number, "validation")
    classes = trained.folds.classes
    index = {name: position for position, name in enumerate(classes)}
    truth_S, predicted_S = (np.array([index[name] for name in table[column]]) for column in ("label", "predicted"))
    return primary_score(metric, truth_S, predicted_S, table[[f"p_{name}" for name in classes]].to_numpy())
