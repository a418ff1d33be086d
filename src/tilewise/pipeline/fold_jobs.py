"""The models of folds: trained here one after the other, or first on the nodes of a cluster, all at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tilewise import errors
from tilewise.compute import default_threads, find_device
from tilewise.errors import TilewiseError, TrainingError
from tilewise.execution import Claim, Failure, current_ray, run_each
from tilewise.inference.classifier import Member
from tilewise.ladder.choice import CHOICE_NAME
from tilewise.ladder.climb import climb
from tilewise.ladder.config import LadderConfig
from tilewise.pipeline.slide_inputs import SlideInputs, train_with_unlabelled
from tilewise.training.fold_request import FoldRequest
from tilewise.training_config.training import TrainingConfig

# Models of the inner folds of a fold; a run that is finished needs them no more.
INNER: Final = "inner"


@dataclass(frozen=True)
class FoldJob:
    """One fold.

    Attributes:
        request: what its model is trained from.
        rungs: of a ladder, by name; none without.
        out: folder of the fold.
    """

    request: FoldRequest
    rungs: Mapping[str, FoldRequest]
    out: Path


@dataclass(frozen=True)
class FoldTrainer:
    """What all folds are trained by.

    Attributes:
        inputs: all slides.
        ladder: how a rung is chosen.
        closed: rungs for which there is no time, and why.
        level: of the ladder's intervals.
    """

    inputs: SlideInputs[Any]
    ladder: LadderConfig
    closed: Mapping[str, str]
    level: float

    def train(self, job: FoldJob) -> Member:
        """The model of a fold, written into its folder; one that is there already is left as it is.

        Raises:
            TrainingError: training could not go on.
        """
        request, number = job.request, job.request.number
        if job.rungs:
            inputs = self.inputs.of(number)
            choice = climb(job.rungs, self.ladder, inputs, level=self.level, out=job.out / INNER, closed=self.closed)
            choice.write(job.out / CHOICE_NAME)
            request = job.rungs[choice.chosen]
        return train_with_unlabelled(self.inputs, request, out=job.out)

    def write(self, job: FoldJob) -> None:
        """As `train`, in another process."""
        self.train(job)


def train_elsewhere(trainer: FoldTrainer, jobs: Mapping[int, FoldJob], *, workers: int | None) -> None:
    """Train all folds on a cluster, where there is one; their models are in their folders then.

    Networks that several devices train together are left: their processes go to the cluster by themselves.

    Raises:
        TrainingError: a fold could not be trained.
    """
    configs = [request.training for job in jobs.values() for request in (*job.rungs.values(), job.request)]
    if current_ray() is None or any(_is_joint(config) for config in configs):
        return
    items = {f"fold {number}": job for number, job in jobs.items()}
    outcome = run_each(trainer.write, items, stage="training", workers=workers, claim=training_claim(*configs))
    if outcome.failures:
        raise _error(outcome.failures[0])


def training_claim(*configs: TrainingConfig) -> Claim:
    """What any one of these trainings takes of a node."""
    claims = [_claim(config) for config in configs]
    return Claim(max(one.threads for one in claims), max(one.gpus for one in claims))


def _claim(config: TrainingConfig) -> Claim:
    num_threads = config.epoch_config.num_threads
    if config.input == "features":
        return Claim(min((num_threads or 1) * config.num_seeds, default_threads()))
    if find_device(config.engine.device, config.step.precision).type == "cpu":
        return Claim(num_threads or default_threads())
    return Claim(gpus=1 if config.engine.devices == "all" else config.engine.devices)


def _is_joint(config: TrainingConfig) -> bool:
    devices = config.engine.devices
    if config.input != "tiles" or devices == 1:
        return False
    return devices != "all" or find_device(config.engine.device, config.step.precision).type == "cuda"


def _error(failure: Failure) -> TilewiseError:
    """The error that a fold ended with, as it was raised."""
    kind = getattr(errors, failure.error, None)
    if isinstance(kind, type) and issubclass(kind, TilewiseError):
        return kind(failure.message)
    return TrainingError(f"{failure.item} could not be trained ({failure.error}: {failure.message}); run it again")
