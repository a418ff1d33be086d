"""The processes that predict, as the service sees them: asked one image at a time each, replaced when they die."""

from __future__ import annotations

import asyncio
import json
import logging
import multiprocessing
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tilewise.errors import UsageError
from tilewise.execution import hidden_main
from tilewise.serving.prediction_api.config import ServiceConfig
from tilewise.serving.prediction_api.errors import ServiceError, busy
from tilewise.serving.prediction_api.worker import run_worker

_log = logging.getLogger(__name__)

_LOAD_SECONDS: Final = 600.0
_END_SECONDS: Final = 2.0


@dataclass(frozen=True)
class Answer:
    """What a worker says of one image: the body of the prediction, and the map as PNG."""

    prediction: dict[str, Any]
    picture: bytes | None


class _WorkerDied(Exception):
    """The process ended before it answered."""


class Worker:
    """One process. It is started, asked, and started anew once it has died."""

    def __init__(self, run: Path, config: ServiceConfig) -> None:
        self._arguments = (str(run), config.max_megapixels * 1_000_000, config.memory_megabytes)
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self.is_closed = False
        self.is_ready = False

    def start(self) -> None:
        """Start the process; it loads the run by itself. A closed worker stays as it is."""
        if self.is_closed:
            return
        # Forking a process with threads can deadlock.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=run_worker, args=(theirs, *self._arguments), daemon=True)
        self.is_ready = False
        with hidden_main():
            self._process.start()
        theirs.close()

    def wait_until_ready(self) -> None:
        """Wait until the run is loaded.

        Raises:
            UsageError: the run cannot be loaded; says why.
        """
        if self.is_ready:
            return
        try:
            reply = self._receive(_LOAD_SECONDS)
        except (_WorkerDied, TimeoutError) as error:
            self.end()
            raise UsageError(
                "the run could not be loaded: the process that loads it ended; is memory short?"
            ) from error
        if "failed" in reply:
            self.end()
            raise UsageError(reply["failed"])
        self.is_ready = True

    def ask(self, request: dict[str, Any], seconds: float) -> Answer:
        """Predict one image; a process that dies of it or takes too long is ended and replaced.

        Raises:
            ServiceError: the image cannot be predicted, or not in this time.
        """
        if self._process is None or not self._process.is_alive():  # it died before it saw the image
            self.restart()
        try:
            self.wait_until_ready()
            assert self._connection is not None
            self._connection.send_bytes(json.dumps(request).encode())
            reply = self._receive(seconds)
            picture = self._connection.recv_bytes() if reply["picture"] else None
        except TimeoutError as error:
            self.restart()
            raise ServiceError(
                504,
                "took-too-long",
                f"the prediction took longer than {seconds:g} seconds",
                "scale the image down, or start the service with a larger --predict-seconds",
            ) from error
        except (_WorkerDied, EOFError, OSError) as error:
            _log.warning("a worker died of a request and is replaced")
            self.restart()
            raise ServiceError(
                422,
                "image-crashes-decoder",
                "the process that decoded the image died of it",
                "open the image in a viewer and save it as PNG",
            ) from error
        if reply.get("is_spent"):
            self.restart()
        if "error" in reply:
            raise ServiceError(**reply["error"])
        return Answer(reply["prediction"], picture)

    @property
    def can_predict(self) -> bool:
        """Whether its process lives and has the run loaded."""
        return self.is_ready and self._process is not None and self._process.is_alive()

    def restart(self) -> None:
        """End the process and start another."""
        self.end()
        self.start()

    def end(self) -> None:
        """End the process, if it has to be by force."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.kill()
            self._process.join(_END_SECONDS)
        self._process, self._connection, self.is_ready = None, None, False

    def close(self) -> None:
        """End the process for good."""
        self.is_closed = True
        self.end()

    @property
    def resident_bytes(self) -> int:
        """Memory of the process; 0 where it is not known."""
        try:
            assert self._process is not None
            fields = Path(f"/proc/{self._process.pid}/status").read_text("ascii")
            return 1024 * int(fields.partition("VmRSS:")[2].split()[0])
        except (AssertionError, OSError, IndexError, ValueError):
            return 0

    def _receive(self, seconds: float) -> dict[str, Any]:
        connection = self._connection
        if connection is None:
            raise _WorkerDied
        try:
            answer = connection.recv_bytes() if connection.poll(seconds) else None
        except (EOFError, OSError) as error:  # also where the service closes meanwhile
            raise _WorkerDied from error
        if answer is None:
            raise TimeoutError
        reply: dict[str, Any] = json.loads(answer)
        return reply


class Workers:
    """All workers of the service; a context manager.

    Args:
        run: folder of the run.
        config: number of processes, and limits.
    """

    def __init__(self, run: Path, config: ServiceConfig) -> None:
        self._config = config
        self._workers = [Worker(run, config) for _ in range(config.workers)]
        self._idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(config.workers, "tilewise-worker")
        self._lock = threading.Lock()
        self.num_waiting = 0
        self.num_predicting = 0

    def __enter__(self) -> Self:
        try:
            for worker in self._workers:
                worker.start()
            for worker in self._workers:
                worker.wait_until_ready()
                self._idle.put(worker)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._close()

    @property
    def is_ready(self) -> bool:
        """Whether one of the processes has the run loaded."""
        return any(worker.can_predict for worker in self._workers)

    @property
    def resident_bytes(self) -> int:
        """Memory of all processes together."""
        return sum(worker.resident_bytes for worker in self._workers)

    async def predict(self, folder: Path, *, has_mask: bool, with_map: bool) -> Answer:
        """Predict the image in a folder, as soon as a worker is free.

        Raises:
            ServiceError: it cannot be predicted, or not in time.
        """
        request = {"folder": str(folder), "mask": has_mask, "map": with_map}
        self._count(waiting=1, predicting=0)
        future = self._threads.submit(self._ask, request)
        wrapped = asyncio.wrap_future(future)
        await asyncio.wait({wrapped}, timeout=self._config.wait_seconds)
        if not wrapped.done() and future.cancel():  # which a prediction that has begun does not take
            self._count(waiting=-1, predicting=0)
            raise busy(f"no worker was free for {self._config.wait_seconds:g} seconds")
        return await wrapped

    def _ask(self, request: dict[str, Any]) -> Answer:
        self._count(waiting=-1, predicting=1)
        worker = self._idle.get()
        try:
            return worker.ask(request, self._config.predict_seconds)
        except UsageError as error:  # a worker that was replaced could not load the run again
            worker.start()
            raise ServiceError(503, "no-worker", str(error), "send it again later", {"Retry-After": "30"}) from error
        finally:
            if worker.is_ready:
                self._idle.put(worker)
            else:  # a thread of its own: those of the pool may all wait for this very worker
                threading.Thread(target=self._put_back, args=(worker,), daemon=True).start()
            self._count(waiting=0, predicting=-1)

    def _put_back(self, worker: Worker) -> None:
        """Let a worker that was replaced load the run before it is asked, so that the service is ready by itself."""
        try:
            worker.wait_until_ready()
        except UsageError:
            if not worker.is_closed:
                _log.warning("a worker that was replaced could not load the run; the next request tries again")
        finally:
            self._idle.put(worker)

    def _count(self, *, waiting: int, predicting: int) -> None:
        with self._lock:
            self.num_waiting += waiting
            self.num_predicting += predicting

    def _close(self) -> None:
        for worker in self._workers:
            worker.close()
