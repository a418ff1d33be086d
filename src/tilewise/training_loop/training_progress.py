"""How far a training is: its epochs, its best one, and the files that let it go on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from torch import Tensor

from tilewise.errors import ArtifactError
from tilewise.store import read_checksummed_tensors, write_checksummed_tensors
from tilewise.training_loop.checkpoint import Checkpoint, read_description
from tilewise.training_loop.table import column_of, write_table

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_log = logging.getLogger(__name__)

_BEST = "best-{epoch}.safetensors"

Row = TypeVar("Row", bound="DataclassInstance")
Row_contra = TypeVar("Row_contra", contravariant=True)


@dataclass(frozen=True)
class Record:
    """What a training is called, and where it is written down.

    Attributes:
        name: what messages call it.
        folder: where state and history of every epoch are written, and a training of the same inputs goes on; None
            writes nothing.
        inputs: digest of everything the training follows from; the state of another one is not loaded.
    """

    name: str = "the fold"
    folder: Path | None = None
    inputs: str = ""


@dataclass(frozen=True)
class Best:
    """The best epoch so far, from 0, its loss on validation (None without validation), and its weights."""

    epoch: int
    selection_loss: float | None
    weights: dict[str, Tensor]


class Log(Protocol[Row_contra]):
    """Takes epochs as they come, for a program that draws curves."""

    def add(self, row: Row_contra) -> None:
        """Append an epoch."""

    def close(self) -> None:
        """Say that no further epoch is to come."""


@dataclass
class TrainingProgress(Generic[Row]):
    """Epochs that are done.

    Attributes:
        row_type: of its epochs; where the best is kept they have a field `is_kept`.
        record: where they are written.
        state_name: the file of the state, in the record's folder.
        history_name: the table of all epochs beside it.
        writes: whether this process is the one that writes.
        open_log: gives a further log of all epochs, those of before included.
        rows: one for each epoch.
        best: of them.
    """

    row_type: type[Row]
    record: Record = field(default_factory=Record)
    state_name: str = "training.safetensors"
    history_name: str = "history.csv"
    writes: bool = True
    open_log: Callable[[Path], Log[Row]] | None = None
    rows: list[Row] = field(default_factory=list)
    best: Best | None = None
    _curves: Log[Row] | None = None

    def resume(self, checkpoint: Checkpoint) -> None:
        """Load the state in the folder, if it is one of the same inputs; a damaged one starts again."""
        folder = self.record.folder
        if folder is None:
            return
        path = folder / self.state_name
        try:
            if path.is_file() and read_description(path).get("inputs") == self.record.inputs:
                self._load(path, checkpoint)
        except ArtifactError as error:
            _log.warning("%s", error)
        if self.writes and self.open_log is not None:
            self._curves = self.open_log(folder)
            for row in self.rows:
                self._curves.add(row)

    def add(self, row: Row, checkpoint: Checkpoint) -> None:
        """Take in an epoch; write the state after it, and the history so far."""
        self.rows.append(row)
        folder = self.record.folder
        if folder is None or not self.writes:
            return
        description: dict[str, Any] = {"inputs": self.record.inputs, "rows": [_to_cells(one) for one in self.rows]}
        best_path = None
        if self.best is not None:
            best_path = folder / _BEST.format(epoch=self.best.epoch)
            if not best_path.is_file() or self.best.epoch == len(self.rows) - 1:
                weights = {name: tensor.contiguous() for name, tensor in self.best.weights.items()}
                write_checksummed_tensors(best_path, weights, {}, framework="torch")
            description["best"] = {"epoch": self.best.epoch, "selection_loss": self.best.selection_loss}
        checkpoint.save(folder / self.state_name, description)
        # Only now does nothing point at the best of before.
        if best_path is not None:
            _remove_best(folder, other_than=best_path)
        write_table(folder / self.history_name, self.row_type, self.marked())
        if self._curves is not None:
            self._curves.add(row)

    def close(self) -> None:
        """Say that no further epoch is to come."""
        if self._curves is not None:
            self._curves.close()

    def marked(self) -> list[Row]:
        """The rows, the one whose weights are kept marked."""
        if self.best is None:
            return self.rows
        mark: dict[str, Any] = {"is_kept": True}
        return [replace(row, **mark) if index == self.best.epoch else row for index, row in enumerate(self.rows)]

    def _load(self, path: Path, checkpoint: Checkpoint) -> None:
        description, best = read_description(path), None
        if "best" in description:
            epoch, again = int(description["best"]["epoch"]), "the training starts from the beginning"
            weights, _ = read_checksummed_tensors(
                path.with_name(_BEST.format(epoch=epoch)), again=again, framework="torch"
            )
            best = Best(epoch, description["best"]["selection_loss"], weights)
        checkpoint.load(path)
        self.rows, self.best = [_from_cells(self.row_type, cells) for cells in description["rows"]], best
        _log.info("%s: %s goes on after epoch %d", self.record.name, path.stem, len(self.rows))


def _to_cells(row: DataclassInstance) -> dict[str, Any]:
    return {column_of(entry): getattr(row, entry.name) for entry in fields(row)}


def _from_cells(row_type: type[Row], cells: dict[str, Any]) -> Row:
    return row_type(**{entry.name: cells[column_of(entry)] for entry in fields(row_type)})


def remove_state(folder: Path, state_name: str = TrainingProgress.state_name) -> None:
    """Remove what only a training that is not over needs."""
    (folder / state_name).unlink(missing_ok=True)
    _remove_best(folder)


def _remove_best(folder: Path, other_than: Path | None = None) -> None:
    for path in folder.glob(_BEST.format(epoch="*")):
        if path != other_than:
            path.unlink(missing_ok=True)
