"""The history as MLflow keeps it: a store of plain files that belongs to one fold, and nothing sent anywhere."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tilewise.errors import UsageError
from tilewise.training.history import SCALARS, EpochRow
from tilewise.training_config.training import TrainingConfig

_EXPERIMENT = "tilewise"


def check_mlflow() -> None:
    """Look for MLflow before anything long begins.

    Raises:
        UsageError: it is not installed.
    """
    if find_spec("mlflow") is None:
        raise UsageError(
            "training.engine.log: mlflow is not installed; run `pip install 'tilewise[mlflow]'`, or set "
            "training.engine.log=tensorboard"
        )


class MlflowRun:
    """One run in a file store of its own; `mlflow server --backend-store-uri FOLDER` shows it.

    MLflow reports its use to its makers, and refuses stores of plain files, unless told otherwise in the environment.
    Both are told here, for as long as the process lives: a fold's folder is no place for a database.

    Args:
        folder: of the store; what it held is gone.
        name: of the run.
        config: of the training; its values become the run's parameters.

    Raises:
        UsageError: MLflow is not installed.
    """

    def __init__(self, folder: Path, name: str, config: TrainingConfig) -> None:
        check_mlflow()
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
        os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
        # Not the folder itself: MLflow remembers stores it has opened, and makes their parts only once.
        for before in folder.glob("[!.]*"):
            shutil.rmtree(before)
        client: Any = import_module("mlflow.tracking").MlflowClient
        self._client = client(tracking_uri=folder.resolve().as_uri())
        experiment = self._client.create_experiment(_EXPERIMENT)
        self._run_id = self._client.create_run(experiment, run_name=name).info.run_id
        for key, value in _flat("training", config.model_dump(mode="json")):
            self._client.log_param(self._run_id, key, value)

    def add(self, row: EpochRow) -> None:
        """Append the scalars of an epoch; those that there are not are left out."""
        for name in SCALARS:
            value = getattr(row, name)
            if value is not None:
                self._client.log_metric(self._run_id, name, value, step=row.epoch)

    def close(self) -> None:
        """Say that the training is over."""
        self._client.set_terminated(self._run_id)


def _flat(prefix: str, section: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in section.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}.{key}", value)
        else:
            yield f"{prefix}.{key}", value
