"""Commands on a Ray cluster of two nodes that are killed at random times, and started again; called by `OUT NUM`.

In turn the command is killed, all processes that work for it, and both.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.drawn import SETTINGS, draw_cohort
from tests.execution.two_nodes import TwoNodes, digests


def start(cohort: Path, home: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tilewise", "train", str(cohort), "--out", str(home / "run"), "--quiet"]
    command += ["--executor", "ray", "--recipe", "texture"]
    command += [part for setting in SETTINGS for part in ("--set", setting)]
    return subprocess.Popen(command, env=os.environ | {"TILEWISE_CACHE": str(home / "cache")}, stdout=sys.stderr)


def wait_until_begun(process: subprocess.Popen[bytes], home: Path) -> float:
    while not (home / "run" / "run.json").is_file() and process.poll() is None:
        time.sleep(0.02)
    return time.monotonic()


def kill_workers() -> int:
    """Kill what Ray names after the work that it does; how many these are."""
    num_killed = 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes().startswith(b"ray::tilewise"):
                os.kill(int(path.parent.name), signal.SIGKILL)
                num_killed += 1
    return num_killed


def main(folder: Path, num_kills: int) -> list[dict[str, Any]]:
    cohort, moments = draw_cohort(folder / "cohort", num_slides=24), random.Random(0)
    start(cohort, folder / "first").wait()  # that the programs are in memory when the time is taken
    whole = start(cohort, folder / "whole")
    began = wait_until_begun(whole, folder / "whole")
    assert whole.wait() == 0
    duration, expected = time.monotonic() - began, digests(folder / "whole" / "run")
    trials: list[dict[str, Any]] = []
    while len(trials) < num_kills:
        home, kind = folder / str(len(trials)), ("command", "workers", "both")[len(trials) % 3]
        process = start(cohort, home)
        wait_until_begun(process, home)
        time.sleep(moments.uniform(0.0, 0.9) * duration)
        trial = {"kind": kind, "num_workers": 0 if kind == "command" else kill_workers()}
        if kind != "workers":
            process.kill()
        trial["status"] = process.wait()
        trial["status_of_next"] = start(cohort, home).wait()
        trial["is_same"] = digests(home / "run") == expected
        trials.append(trial)
        sys.stderr.write(f"{trial}\n")
    return trials


if __name__ == "__main__":
    HOME = Path(sys.argv[1])
    NODES = TwoNodes(HOME)
    try:
        (HOME / "result.json").write_text(json.dumps({"trials": main(HOME, int(sys.argv[2]))}))
    finally:
        NODES.close()
