"""A service from a run: workers, routes and the gate, for as long as it is open."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pydantic import SecretStr

from tilewise.run_folder import RunFolder
from tilewise.serving.prediction_api.app import Service, create_app
from tilewise.serving.prediction_api.config import ServiceConfig
from tilewise.serving.prediction_api.gate import Gate
from tilewise.serving.prediction_api.map_store import MapStore
from tilewise.serving.prediction_api.metrics import ServiceMetrics
from tilewise.serving.prediction_api.model_card import read_model_card
from tilewise.serving.prediction_api.workers import Workers


@contextlib.contextmanager
def open_service(run: Path, config: ServiceConfig, token: SecretStr | None) -> Iterator[Gate]:
    """The ASGI application of a run, whose workers live as long as the block.

    Raises:
        UsageError: there is no finished run, or its encoder is not here.
        ArtifactError: a file of the run is missing or damaged.
    """
    card = read_model_card(RunFolder(run))
    metrics = ServiceMetrics()
    maps = MapStore(config.map_megabytes * 1_000_000, config.map_minutes * 60)
    with (
        tempfile.TemporaryDirectory(prefix="tilewise-serve-") as folder,
        Workers(run, config) as workers,
    ):
        service = Service(config, card, workers, maps, metrics, Path(folder))
        gate = Gate(create_app(service, needs_token=token is not None), config, token, metrics)
        metrics.watch("requests_now", "Requests with a body that are here now.", lambda: gate.num_uploads)
        metrics.watch("images_waiting", "Images that wait for a worker.", lambda: workers.num_waiting)
        metrics.watch("images_predicting", "Images that a worker has.", lambda: workers.num_predicting)
        metrics.watch("workers_resident_bytes", "Memory of all workers.", lambda: workers.resident_bytes)
        metrics.watch("maps_bytes", "Memory of maps that can be fetched.", lambda: maps.num_bytes)
        yield gate
