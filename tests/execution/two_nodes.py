"""A Ray cluster of two nodes on this machine, and scripts that work on it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tilewise.store import digest_file

ROOT = Path(__file__).parents[2]
STORE_BYTES = 100_000_000


class TwoNodes:
    """A head with one processor, from where work is started, and another node with one."""

    def __init__(self, folder: Path) -> None:
        from ray.cluster_utils import Cluster

        (folder / "starting").touch()
        options = {"num_cpus": 1, "object_store_memory": STORE_BYTES}
        self._cluster = Cluster(initialize_head=True, head_node_args={**options, "include_dashboard": False})
        self._second = self._cluster.add_node(**options)
        os.environ["RAY_ADDRESS"] = self._cluster.address
        (folder / "started").touch()

    def kill_second(self, folder: Path) -> threading.Thread:
        """Kill the other node, with all of its processes, once it works on something."""

        def kill() -> None:
            own: list[str] = []
            while not own:
                time.sleep(0.05)
                lines = [line.split() for path in folder.iterdir() for line in path.read_text().splitlines()]
                own = [line[1] for line in lines if len(line) == 2 and line[0] == self._second.node_id]
            self.remove_second()
            for pid in own:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)

        thread = threading.Thread(target=kill)
        thread.start()
        return thread

    def remove_second(self) -> None:
        self._cluster.remove_node(self._second, allow_graceful=False)

    def close(self) -> None:
        self._cluster.shutdown()


def digests(folder: Path) -> dict[str, str]:
    files = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: digest_file(path) for name, path in files.items() if not Path(name).name.startswith(".")}


def run_script(path: Path, folder: Path, *arguments: str, limit_s: float = 400.0) -> dict[str, Any]:
    """What a script on two nodes writes into `result.json`; in its own session, which ends with all its processes."""
    # Names of Ray's sockets are as long as they may be.
    temporary, log = tempfile.mkdtemp(prefix="ray-"), folder / "log.txt"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "RAY_TMPDIR": temporary}
    environment |= {"RAY_AUTH_MODE": "disabled", "RAY_DEFAULT_OBJECT_STORE_MAX_MEMORY_BYTES": "200000000"}
    environment.pop("RAY_ADDRESS", None)
    command = [sys.executable, str(path), str(folder), *arguments]
    with (
        log.open("w") as stream,
        subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True
        ) as process,
    ):
        try:
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            stream.write(f"\nno end after {limit_s:g} s")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            shutil.rmtree(temporary, ignore_errors=True)
    text = log.read_text().strip()
    if not (folder / "started").exists() and (folder / "starting").exists():
        pytest.skip(f"Ray starts no cluster of two nodes on this machine: {text.splitlines()[-1]}")
    assert process.returncode == 0, text[-4000:]
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return result
