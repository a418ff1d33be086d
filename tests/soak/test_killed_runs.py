"""A run that is killed at any moment and started again ends with the files of an uninterrupted one."""

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.drawn import SETTINGS, draw_cohort
from tilewise.cli.main import run
from tilewise.store import Manifest

ROOT = Path(__file__).parents[2]


def environment(**more):
    paths = [str(ROOT / "src"), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | more


def killed_at_changes(tmp_path, num_kills):
    """Kill trainings at changes of the file system and start each again: what became of them, by the change."""
    cohort = draw_cohort(tmp_path / "cohort", num_slides=8)
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak.killed", str(cohort), str(tmp_path), str(num_kills)],
        capture_output=True, text=True, env=environment(), cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["whole"] == 0
    assert all(codes == [-signal.SIGKILL, 0] for codes in result["trials"].values())
    return result["trials"]


def differing(run, whole):
    """Files of a run that are missing, too many or of other bytes than those of another run."""
    files, expected = Manifest.read(run).files, Manifest.read(whole).files
    return sorted(name for name in files.keys() | expected.keys() if files.get(name) != expected.get(name))


def check_all(tmp_path, num_kills):
    trials = killed_at_changes(tmp_path, num_kills)
    assert len(trials) == num_kills
    for moment in trials:
        assert differing(tmp_path / moment / "run", tmp_path / "whole" / "run") == [], moment
        assert run(["verify", str(tmp_path / moment / "run")]) == 0
        assert not list((tmp_path / moment / "run").rglob("*.tmp*"))


def test_three_kills_at_changes_of_files_leave_the_same_bytes_in_the_end(tmp_path):
    check_all(tmp_path, 3)


@pytest.mark.soak
def test_fifty_kills_at_changes_of_files_leave_the_same_bytes_in_the_end(tmp_path):
    check_all(tmp_path, 50)


def start(cohort, home, workers):
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    command = [sys.executable, "-m", "tilewise", "train", str(cohort), "--out", str(home / "run"), "--quiet"]
    command += ["--recipe", "texture", "--workers", str(workers), *settings]
    return subprocess.Popen(command, env=environment(TILEWISE_CACHE=str(home / "cache")), stdout=subprocess.DEVNULL)


def wait_until_begun(process, home):
    while not (home / "run" / "run.json").is_file() and process.poll() is None:
        time.sleep(0.02)


@pytest.mark.soak
@pytest.mark.parametrize("workers", [1, 2])
def test_ten_kills_of_the_command_at_random_times_leave_the_same_bytes_in_the_end(workers, tmp_path):
    cohort = draw_cohort(tmp_path / "cohort", num_slides=40)
    whole = start(cohort, tmp_path / "whole", workers)
    wait_until_begun(whole, tmp_path / "whole")
    began = time.monotonic()
    assert whole.wait() == 0
    duration = time.monotonic() - began
    moments, num_killed = random.Random(workers), 0
    for number in itertools.count():
        home = tmp_path / str(number)
        process = start(cohort, home, workers)
        wait_until_begun(process, home)
        time.sleep(moments.uniform(0.0, 0.9) * duration)
        process.send_signal(signal.SIGKILL)
        is_killed = process.wait() == -signal.SIGKILL
        assert start(cohort, home, workers).wait() == 0
        assert differing(home / "run", tmp_path / "whole" / "run") == []
        assert run(["verify", str(home / "run")]) == 0
        num_killed += is_killed
        if num_killed == 10:
            return
        # The machine was busier while the first run was timed, and this one was over before its moment.
        duration *= 1.0 if is_killed else 0.7
