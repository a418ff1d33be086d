"""One fold in rounds: train, ask the model about slides without a label, take in those it is sure of, train again."""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from tilewise.calibration.scaling import Scaling
from tilewise.errors import ArtifactError, TrainingError
from tilewise.folds import Fold
from tilewise.models import FoldModel
from tilewise.models.files import ABOUT_NAME
from tilewise.models.networks import NetworkModel
from tilewise.store import write_bytes
from tilewise.training.pseudo.choose import PseudoLabel, choose
from tilewise.training_config.pseudo import PseudoConfig
from tilewise.training_loop.table import write_table

_log = logging.getLogger(__name__)

PSEUDO_NAME = "pseudo.csv"
_ROUNDS, _ROUND = "pseudo", "round-{number}"

Model = TypeVar("Model", bound=FoldModel | NetworkModel)


@dataclass(frozen=True)
class ModelTrainer(Generic[Model]):
    """What trains and asks models, whatever they learn from.

    Attributes:
        train: parts, slide -> class of all slides in them, and a folder; trains a model and writes it there, or returns
            the one of the same inputs that lies there.
        predict: a model and slides; slide -> its probabilities, (C,).
    """

    train: Callable[[Fold, Mapping[str, str], Path], Model]
    predict: Callable[[Model, Sequence[str]], Mapping[str, npt.NDArray[np.float64]]]


@dataclass(frozen=True)
class PseudoTask:
    """One fold, and the slides without a label that may take part in it.

    Attributes:
        number: of the fold, from 0.
        fold: its three parts.
        labels: slide -> class. Those of the train part are counted, those of the validation part calibrate.
        classes: in the order of the probability columns.
        candidates: slides without a label, as `candidates` chooses them.
        config: how sure is sure enough.

    Raises:
        TrainingError: a candidate has a label, or is in a part of the fold.
    """

    number: int
    fold: Fold
    labels: Mapping[str, str]
    classes: tuple[str, ...]
    candidates: tuple[str, ...]
    config: PseudoConfig

    def __post_init__(self) -> None:
        known = {*self.fold.train, *self.fold.validation, *self.fold.test}
        for name in self.candidates:
            if name in known or name in self.labels:
                raise TrainingError(
                    f"fold {self.number}: slide {name} cannot be pseudo-labelled, it has a label or is in a part"
                )

    def with_added(self, added: Sequence[PseudoLabel]) -> tuple[Fold, dict[str, str]]:
        """The parts and labels once these slides have joined the train part."""
        train = tuple(sorted((*self.fold.train, *(one.slide for one in added))))
        return replace(self.fold, train=train), {**self.labels, **{one.slide: one.label for one in added}}


def train_with_pseudo(task: PseudoTask, trainer: ModelTrainer[Model], *, out: Path) -> Model:
    """Train a fold, let the slides join that the model is sure of, and train again, as many rounds as are asked for.

    This is self-training (Yarowsky 1995) with the threshold of pseudo-labels (Lee 2013): a slide that has joined keeps
    its class, and a model says nothing more of slides that it has learnt from. Every model starts anew. Thresholds are
    set on the probabilities of slides, so that one sure tile is not enough; these are calibrated on the validation part
    (Guo et al. 2017), which early stopping sees as well.

    Beside the model lies `pseudo.csv` with what joined, at which probability and in which round; the model's `origin`
    holds the same. The models of the rounds before lie under `pseudo/`, so that a training that was stopped goes on
    and ends as one that was not.

    Args:
        task: fold, candidates and config.
        trainer: of models on features or on pixels.
        out: folder of the fold.

    Raises:
        TrainingError: training could not go on.
    """
    added: tuple[PseudoLabel, ...] = ()
    labelled = Counter(task.labels[name] for name in task.fold.train)
    last, last_model = 0, None
    for number in range(task.config.rounds if task.candidates else 0):
        fold, labels = task.with_added(added)
        folder, last = _round(out, number), number + 1
        model = trainer.train(fold, labels, folder)
        names = {one.slide for one in added}
        left = [name for name in task.candidates if name not in names]
        probabilities = _ask(task, trainer, model, left)
        new = choose(probabilities, task.classes, task.config, labelled=labelled, before=added)
        _log.info("fold %d: %d of %d slides without a label join in round %d", task.number, len(new), len(left), last)
        if not new:
            last_model = model
            break
        added += new
    _forget_after(out, last)
    write_table(out / PSEUDO_NAME, PseudoLabel, sorted(added, key=lambda one: (one.round, one.slide)))
    origin = {
        "config": task.config.model_dump(mode="json"),
        "num_candidates": len(task.candidates),
        "added": [asdict(one) for one in added],
    }
    if last_model is not None:
        return _copied(last_model, _round(out, last - 1), out, origin)
    fold, labels = task.with_added(added)
    model = trainer.train(fold, labels, out)
    if model.origin.get("pseudo") == origin:
        return model
    model = replace(model, origin={**model.origin, "pseudo": origin})
    model.save(out)
    return model


def _ask(
    task: PseudoTask, trainer: ModelTrainer[Model], model: Model, names: Sequence[str]
) -> Mapping[str, npt.NDArray[np.float64]]:
    """Slide -> its probabilities, calibrated on the validation part where the config says so."""
    if not names:
        return {}
    probabilities = trainer.predict(model, names)
    if not (task.config.calibrated and task.fold.validation):
        return probabilities
    validation = trainer.predict(model, task.fold.validation)
    truth_V = np.array([task.classes.index(task.labels[name]) for name in validation])
    scaling = Scaling.fit(np.stack(list(validation.values())), truth_V)
    calibrated_NC = scaling.apply(np.stack(list(probabilities.values())))
    return dict(zip(probabilities, calibrated_NC, strict=True))


def _round(out: Path, number: int) -> Path:
    return out / _ROUNDS / _ROUND.format(number=number)


def _forget_after(out: Path, last: int) -> None:
    """Take away models of rounds that there are no more: of a training of other inputs that was stopped here."""
    folders = {_round(out, number) for number in range(last)}
    for folder in (out / _ROUNDS).glob(_ROUND.format(number="*")):
        if folder not in folders:
            shutil.rmtree(folder)


def _copied(model: Model, source: Path, out: Path, origin: Mapping[str, Any]) -> Model:
    """The model of a round as that of the fold; one that lies there already is left as it is."""
    model = replace(model, origin={**model.origin, "pseudo": dict(origin)})
    files = [path for path in sorted(source.rglob("*")) if path.is_file() and path != source / ABOUT_NAME]
    if _holds(model, out) and all((out / path.relative_to(source)).is_file() for path in files):
        return model
    for path in files:
        write_bytes(out / path.relative_to(source), path.read_bytes())
    # The model comes last: a folder that holds it is whole.
    model.save(out)
    return model


def _holds(model: FoldModel | NetworkModel, out: Path) -> bool:
    if not (out / ABOUT_NAME).is_file():
        return False
    try:
        return type(model).load(out).origin == model.origin
    except ArtifactError as error:
        _log.info("%s; it is written again", error)
        return False
