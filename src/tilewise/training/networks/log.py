"""Where the history of a training is written beside its table, for a program that draws curves."""

from __future__ import annotations

from pathlib import Path

from tilewise.training.history import EpochRow
from tilewise.training.networks.events import EventFile
from tilewise.training_config.training import TrainingConfig
from tilewise.training_loop import Log


class _NoLog:
    def add(self, row: EpochRow) -> None:
        del row

    def close(self) -> None:
        pass


def check_log(config: TrainingConfig) -> None:
    """Look for what a log needs before anything long begins.

    Raises:
        UsageError: it needs a package that is not installed.
    """
    if config.engine.log == "mlflow":
        from tilewise.training.networks.mlflow_run import check_mlflow

        check_mlflow()


def open_log(config: TrainingConfig, folder: Path, name: str) -> Log[EpochRow]:
    """The log a config asks for, begun anew: a training that goes on tells it of all epochs again.

    Args:
        config: of the training.
        folder: of the fold.
        name: what messages call the training.

    Raises:
        UsageError: it needs a package that is not installed.
    """
    match config.engine.log:
        case "none":
            return _NoLog()
        case "tensorboard":
            return EventFile(folder / "tensorboard")
        case "mlflow":
            from tilewise.training.networks.mlflow_run import MlflowRun

            return MlflowRun(folder / "mlflow", name, config)
