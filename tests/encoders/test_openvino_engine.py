"""What OpenVINO leaves behind in a process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = """
import signal, threading, time
import numpy as np
from tilewise.encoders import EncoderConfig, build_encoder
encoders = [build_encoder(EncoderConfig(name="simple_cnn", init="random", engine="openvino"))]
encoders[0].encode(np.zeros((2, 64, 64, 3), np.uint8))
thread = threading.Thread(target=encoders.clear)
thread.start()
thread.join()
signal.signal(signal.SIGALRM, lambda *_: print("alarm"))
signal.setitimer(signal.ITIMER_REAL, 0.1)
time.sleep(0.5)
"""


def test_a_signal_is_heard_after_a_thread_let_go_of_an_encoder() -> None:
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT], check=False, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
    )  # fmt: skip
    assert (process.returncode, process.stdout) == (0, "alarm\n"), process.stderr
