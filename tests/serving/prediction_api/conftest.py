"""A run of a drawn cohort, and the service of it as the command starts it."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests.drawn import draw_cohort, recipe
from tilewise import api
from tilewise.cohort import Cohort


@dataclass(frozen=True)
class Server:
    """A service in a process of its own."""

    address: str
    process: subprocess.Popen

    def client(self) -> httpx2.Client:
        """Without certificates, which take longer to load than an answer."""
        return httpx2.Client(base_url=self.address, timeout=600, verify=False)


@contextlib.contextmanager
def serve(run: Path, *options: str) -> Iterator[Server]:
    command = [sys.executable, "-m", "tilewise", "serve", str(run), "--api", "--port", "0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            line = process.stderr.readline()
            assert "serving" in line, line + process.stderr.read()
            yield Server(re.search(r"http://\S+?(?=;)", line).group(), process)
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=120)


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """`cohort/` that the run in `run/` learnt from, and `new/` with slides that it did not."""
    home = tmp_path_factory.mktemp("service")
    draw_cohort(home / "cohort", num_slides=12)
    draw_cohort(home / "drawn", num_slides=24)
    for kind in ("images", "masks"):
        (home / "new" / kind).mkdir(parents=True)
        for path in sorted((home / "drawn" / kind).iterdir())[12:]:
            path.rename(home / "new" / kind / path.name)
    api.train(Cohort.discover(home / "cohort"), recipe(), out=home / "run", workers=1)
    return home


@pytest.fixture(scope="session")
def server(home):
    with serve(home / "run", "--workers", "2", "--max-megabytes", "8", "--max-batch", "4") as server:
        yield server


@pytest.fixture
def client(server):
    with server.client() as client:
        yield client
