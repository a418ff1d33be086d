"""How far a pretraining is: its epochs, and the files that let it go on."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from tilewise.errors import ArtifactError
from tilewise.training.learning import Checkpoint, read_about
from tilewise.training.table import write_table

_log = logging.getLogger(__name__)

HISTORY_NAME = "pretraining.csv"
STATE_NAME = "pretraining.safetensors"


@dataclass(frozen=True)
class EpochRow:
    """One epoch of pretraining.

    Attributes:
        epoch: from 1.
        loss: mean over the views; guessing among n tiles a batch gives log(2n - 1).
        matched: share of the views that were most like the other view of their tile, among all of the batch.
        learning_rate: at the start of the epoch.
    """

    epoch: int
    loss: float
    matched: float
    learning_rate: float


@dataclass
class Progress:
    """Epochs that are done.

    Attributes:
        name: what messages call the training.
        folder: where state and history of every epoch are written, and a pretraining of the same inputs goes on; None
            writes nothing.
        inputs: digest of everything the pretraining follows from; the state of another one is not taken up.
        rows: one for each epoch.
    """

    name: str = "the fold"
    folder: Path | None = None
    inputs: str = ""
    rows: list[EpochRow] = field(default_factory=list)

    def resume(self, checkpoint: Checkpoint, scaler: torch.amp.GradScaler) -> None:
        """Take up the state in the folder, if it is one of the same inputs; what is damaged starts again."""
        if self.folder is None:
            return
        path = self.folder / STATE_NAME
        try:
            if path.is_file() and read_about(path).get("inputs") == self.inputs:
                about = checkpoint.load(path)
                scaler.load_state_dict(about["scaler"])
                self.rows = [EpochRow(**row) for row in about["rows"]]
                _log.info("%s: pretraining goes on after epoch %d", self.name, len(self.rows))
        except ArtifactError as error:
            _log.warning("%s", error)

    def add(self, row: EpochRow, checkpoint: Checkpoint, scaler: torch.amp.GradScaler) -> None:
        """Take in an epoch; write the state after it, and the history so far."""
        self.rows.append(row)
        if self.folder is None:
            return
        rows = [asdict(one) for one in self.rows]
        checkpoint.save(self.folder / STATE_NAME, {"inputs": self.inputs, "rows": rows, "scaler": scaler.state_dict()})
        self.write_history()

    def write_history(self) -> None:
        """Write the rows as a table, where anything is written."""
        if self.folder is None:
            return
        write_table(self.folder / HISTORY_NAME, EpochRow, self.rows)
