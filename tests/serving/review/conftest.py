"""Runs under review, each served by the command in a process of its own."""

from __future__ import annotations

import contextlib
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


@dataclass(frozen=True)
class Served:
    """A run under review.

    Attributes:
        run: its folder.
        page: the address that is printed, with its token.
        process: the server.
    """

    run: Path
    page: str
    process: subprocess.Popen

    @property
    def address(self) -> str:
        """Of the server, as browsers send it as their origin."""
        return self.page.partition("/?")[0].rstrip("/")

    def client(self, **headers: str) -> httpx2.Client:
        """As the page itself asks, the cookie included that it has from the printed address.

        Without certificates, which take longer to load than an answer.
        """
        origin = {"origin": self.address} | {name.replace("_", "-"): value for name, value in headers.items()}
        client = httpx2.Client(base_url=self.address, headers=origin, timeout=120, verify=False)
        if "?" in self.page:
            cookies = httpx2.get(self.page, verify=False).cookies
            client.cookies.update(cookies)
        return client


@contextlib.contextmanager
def serve(run: Path, *options: str) -> Iterator[Served]:
    command = [sys.executable, "-m", "tilewise", "serve", str(run), "--no-open", "--reviewer", "ada", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline().strip()
            assert line.startswith("http://127.0.0.1:"), process.stderr.read()
            yield Served(run, line, process)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """A run of twelve drawn slides, the last of which is a copy of the first; read only but for its review."""
    home = tmp_path_factory.mktemp("review")
    draw_cohort(home / "cohort", num_slides=12)
    for kind, name in (("images", "img"), ("masks", "mask")):
        folder = home / "cohort" / kind
        (folder / f"{name}_0011.png").write_bytes((folder / f"{name}_0000.png").read_bytes())
    api.train(home / "cohort", recipe("head.aggregate=attention"), out=home / "run", workers=1)
    return home / "run"


@pytest.fixture(scope="module")
def served(small_run):
    with serve(small_run) as served:
        yield served


@pytest.fixture
def client(served):
    with served.client() as client:
        yield client
