"""A run that is killed at any moment and started again ends with the predictions of an uninterrupted one."""

import os
import random
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from tilewise.cli.main import run

COMMAND = [sys.executable, "-m", "tilewise", "train"]
NUM_KILLS = 10


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed") / "cohort"
    assert run(["synth", str(folder), "--slides", "40", "--min-side", "512", "--quiet"]) == 0
    return folder


def start(cohort, out, cache):
    environment = {**os.environ, "TILEWISE_CACHE": str(cache)}
    options = ["--out", str(out), "--quiet", "--set", "tiles.size_px=128", "--set", "folds.num_folds=3"]
    return subprocess.Popen([*COMMAND, str(cohort), *options], env=environment, stdout=subprocess.DEVNULL)


def predictions(out):
    return pd.read_parquet(out / "predictions.parquet")


@pytest.mark.soak
def test_ten_kills_at_random_moments_change_nothing(cohort, tmp_path):
    began = time.monotonic()
    whole = start(cohort, tmp_path / "whole", tmp_path / "whole-cache")
    assert whole.wait() == 0
    duration = time.monotonic() - began
    expected = predictions(tmp_path / "whole")
    moments = random.Random(0)
    for number in range(NUM_KILLS):
        out, cache = tmp_path / f"run-{number}", tmp_path / f"cache-{number}"
        process = start(cohort, out, cache)
        time.sleep(moments.uniform(0.05, 0.95) * duration)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert start(cohort, out, cache).wait() == 0
        pd.testing.assert_frame_equal(predictions(out), expected, check_exact=True)
        assert run(["verify", str(out)]) == 0
