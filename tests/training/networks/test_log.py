"""The history for MLflow: read back from the files it lies in, whole after a stop, and nothing sent anywhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.training.networks.drawn import cnn, draw_data
from tests.training.networks.fold_of import task
from tilewise.errors import UsageError
from tilewise.training.history import History
from tilewise.training.network_fold import train_network_fold
from tilewise.training.networks import mlflow_run
from tilewise.training.networks.train import train_network
from tilewise.training_config.training import TrainingConfig
from tilewise.training_loop import Record

CONFIG = TrainingConfig.model_validate(
    {"input": "tiles", "epochs": 2, "num_threads": 1, "engine": {"device": "cpu", "log": "mlflow"}}
)


def read_run(store: Path) -> tuple[dict[str, dict[int, float]], dict[str, str], str]:
    """Metrics by name and step, parameters, and the run's description, of the one run in a store."""
    (run,) = [path.parent for path in store.glob("*/*/meta.yaml") if path.parent.parent.name != "models"]
    metrics = {
        path.name: {int(step): float(value) for _, value, step, *_ in map(str.split, path.read_text().splitlines())}
        for path in (run / "metrics").iterdir()
    }
    params = {path.name: path.read_text() for path in (run / "params").iterdir()}
    return metrics, params, (run / "meta.yaml").read_text()


def train(folder: Path) -> History:
    data, _, _ = draw_data(4, 2)
    _, history = train_network(cnn(), data, CONFIG, seed=0, record=Record("fold 3", folder, "a"))
    return history


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of MLflow's own imports
def test_mlflow_holds_every_epoch_once_and_sends_nothing(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    history = train(tmp_path)
    # Taken up when it is over: a log begun anew.
    assert train(tmp_path) == history
    metrics, params, slide_data = read_run(tmp_path / "mlflow")
    assert set(metrics) == {"train_loss", "validation_loss", "validation_score", "learning_rate"}
    for name, steps in metrics.items():
        assert steps == pytest.approx({row.epoch: getattr(row, name) for row in history.rows})
    assert params["training.epochs"] == "2"
    assert params["training.optimizer.kind"] == "adamw"
    assert "run_name: fold 3" in slide_data
    assert "status: 3" in slide_data  # finished
    from mlflow.telemetry.client import get_telemetry_client

    assert get_telemetry_client() is None
    assert not (Path.cwd() / "mlruns").exists()


def test_without_mlflow_it_is_refused_before_anything_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_run, "find_spec", lambda name: None)
    before = dict(os.environ)
    with pytest.raises(UsageError, match=r"pip install 'tilewise\[mlflow\]'`, or set training\.engine\.log=tensorb"):
        train_network_fold(task(engine={"device": "cpu", "log": "mlflow"}), store=None, out=tmp_path)  # type: ignore[arg-type]
    assert dict(os.environ) == before
