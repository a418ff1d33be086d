"""How far a training is: its epochs, its best one, and the files that let it go on."""

from __future__ import annotations

import logging
import shutil
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from tilewise.errors import ArtifactError
from tilewise.metrics import PrimaryMetric
from tilewise.store import read_sealed_tensors, write_sealed_tensors
from tilewise.training.config import TrainingConfig
from tilewise.training.history import HISTORY_NAME, EpochRow, History
from tilewise.training.learning import Checkpoint, read_about
from tilewise.training.networks.log import Log, open_log
from tilewise.training.scores import WORTH_KEEPING

_log = logging.getLogger(__name__)

STATE_NAME = "training.safetensors"
WORKDIR = "together-"  # folders of several processes begin so
_BEST = "best-{epoch}.safetensors"


@dataclass(frozen=True)
class Best:
    """The best epoch so far, from 0, how bad it was, and the weights that were scored."""

    epoch: int
    selection_loss: float
    weights: dict[str, Tensor]


@dataclass(frozen=True)
class Record:
    """What a training is called, how its epochs are scored, and where it is written down.

    Attributes:
        name: what messages call it.
        folder: where state and history of every epoch are written, and a training of the same inputs goes on; None
            writes nothing.
        inputs: digest of everything the training follows from; the state of another one is not taken up.
        metric: that epochs are scored by on validation.
    """

    name: str = "the fold"
    folder: Path | None = None
    inputs: str = ""
    metric: PrimaryMetric = "macro_f1"


@dataclass
class Progress:
    """Epochs that are done.

    Attributes:
        config: when training stops, and what is written.
        record: where.
        is_first: whether this process is the one that writes.
        rows: one for each epoch.
        best: of them.
    """

    config: TrainingConfig
    record: Record
    is_first: bool = True
    rows: list[EpochRow] = field(default_factory=list)
    best: Best | None = None
    _curves: Log | None = None

    def resume(self, checkpoint: Checkpoint, scaler: torch.amp.GradScaler) -> None:
        """Take up the state in the folder, if it is one of the same inputs; what is damaged starts again."""
        folder = self.record.folder
        if folder is None:
            return
        path = folder / STATE_NAME
        try:
            if path.is_file() and read_about(path).get("inputs") == self.record.inputs:
                self._take_up(path, checkpoint, scaler)
        except ArtifactError as error:
            _log.warning("%s", error)
        if self.is_first:
            self._curves = open_log(self.config, folder, self.record.name)
            for row in self.rows:
                self._curves.add(row)

    def is_over(self, *, has_validation: bool) -> bool:
        """Whether no further epoch is to come."""
        num, epoch_config = len(self.rows), self.config.epoch_config
        stopped = (
            has_validation
            and epoch_config.patience is not None
            and self.best is not None
            and num - 1 - self.best.epoch >= epoch_config.patience
        )
        return num >= epoch_config.epochs or stopped

    def is_better(self, selection_loss: float) -> bool:
        """Whether an epoch so bad is better than all before."""
        return self.best is None or selection_loss < self.best.selection_loss - WORTH_KEEPING

    def save(self, checkpoint: Checkpoint, scaler: torch.amp.GradScaler) -> None:
        """Write the state after an epoch, and the history so far."""
        folder = self.record.folder
        if folder is None or not self.is_first:
            return
        assert self.best is not None
        best = folder / _BEST.format(epoch=self.best.epoch)
        if not best.is_file() or self.best.epoch == len(self.rows) - 1:
            weights = {name: tensor.contiguous() for name, tensor in self.best.weights.items()}
            write_sealed_tensors(best, weights, {}, framework="torch")
        about = {
            "inputs": self.record.inputs,
            "rows": [asdict(row) for row in self.rows],
            "best": {"epoch": self.best.epoch, "badness": self.best.selection_loss},
            "scaler": scaler.state_dict(),
        }
        checkpoint.save(folder / STATE_NAME, about)
        # Only now does nothing point at the best of before.
        for path in folder.glob(_BEST.format(epoch="*")):
            if path != best:
                path.unlink()
        History(tuple(self.marked()), ()).write(folder / HISTORY_NAME)
        if self._curves is not None:
            self._curves.add(self.rows[-1])

    def close(self) -> None:
        """Say that no further epoch is to come."""
        if self._curves is not None:
            self._curves.close()

    def marked(self) -> list[EpochRow]:
        """The rows, the one whose weights are kept marked."""
        kept = None if self.best is None else self.best.epoch
        return [replace(row, kept=True) if index == kept else row for index, row in enumerate(self.rows)]

    def _take_up(self, path: Path, checkpoint: Checkpoint, scaler: torch.amp.GradScaler) -> None:
        about = read_about(path)
        epoch, selection_loss = int(about["best"]["epoch"]), float(about["best"]["badness"])
        best = path.with_name(_BEST.format(epoch=epoch))
        again = "the training starts from the beginning"
        weights, _ = read_sealed_tensors(best, again=again, framework="torch")
        checkpoint.load(path)
        scaler.load_state_dict(about["scaler"])
        self.rows = [EpochRow(**row) for row in about["rows"]]
        self.best = Best(epoch, selection_loss, weights)
        _log.info("%s: goes on after epoch %d", self.record.name, len(self.rows))


def remove_state(folder: Path) -> None:
    """Take away what only a training that is not over needs."""
    for path in (folder / STATE_NAME, *folder.glob(_BEST.format(epoch="*"))):
        path.unlink(missing_ok=True)
    remove_workdirs(folder)


def remove_workdirs(folder: Path) -> None:
    """Take away what several processes have left that were killed together with the one that waited for them."""
    for path in folder.glob(f"{WORKDIR}*"):
        shutil.rmtree(path, ignore_errors=True)
