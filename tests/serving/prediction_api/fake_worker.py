"""Workers that do what bad images do to decoders."""

import json
import os
import time
from pathlib import Path

from tilewise.serving.prediction_api import worker


class FakePredictor:
    def predict(self, image, mask, *, with_map):
        deed = image.parent.name
        if deed == "crash":
            os.abort()
        if deed == "slow":
            time.sleep(600)
        if deed == "greedy":
            bytearray(2_000_000_000)
        if deed == "bug":
            raise RuntimeError("a bug")
        return {"pid": os.getpid(), "mask": mask and mask.name}, b"picture" if with_map else None

    @classmethod
    def load(cls, run: Path, *, max_pixels: int):
        return cls()


def run_fake_worker(connection, run, max_pixels, memory_megabytes):
    worker._limit_memory(memory_megabytes * 1_000_000)
    connection.send_bytes(b"{}")
    while True:
        try:
            request = json.loads(connection.recv_bytes())
        except EOFError:
            return
        answer, picture = worker._answer(FakePredictor(), request)
        connection.send_bytes(json.dumps(answer | {"picture": picture is not None}).encode())
        if picture is not None:
            connection.send_bytes(picture)
