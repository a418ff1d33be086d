"""Runs on a cluster that are killed at any moment and started again end with the files of an uninterrupted one."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.execution.two_nodes import run_script

pytest.importorskip("ray", reason="Ray ([ray]) is not installed")


@pytest.mark.cluster
@pytest.mark.soak
def test_fifty_kills_on_a_cluster_leave_the_same_bytes_in_the_end(tmp_path: Path) -> None:
    script = Path(__file__).with_name("killed_on_ray.py")
    trials = run_script(script, tmp_path, "50", limit_s=7200.0)["trials"]
    assert len(trials) == 50
    assert all(trial["status_of_next"] == 0 and trial["is_same"] for trial in trials)
    # What died with its processes alone is done again within the same command.
    assert {trial["status"] for trial in trials if trial["kind"] == "workers"} == {0}
    assert sum(trial["status"] == -signal.SIGKILL for trial in trials) > 20
    assert sum(trial["num_workers"] for trial in trials) > 10
