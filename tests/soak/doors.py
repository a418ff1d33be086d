"""Public doors of the house in a process of their own, so that a hang or a crash behind one of them can be told.

Run as a module it answers requests, one JSON line each: which door, and the file that is given to it.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

_ROOT: Final = Path(__file__).parents[2]
_START_S: Final = 300.0
MOST_S: Final = 10.0
"""No door may need longer for one small file, whatever is in it."""
MOST_MB: Final = 1500.0
"""Nor may the process behind the doors, with all its libraries, ever hold more."""


@dataclass(frozen=True)
class Answer:
    """What came out of a door: `done` without complaint, a `named` error, or one that nobody named; or too much."""

    kind: Literal["done", "named", "unnamed", "hang", "crash", "large"]
    text: str = ""


class Doors:
    """A process behind which the doors are; a new one is started after a hang or a crash."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def open(self, door: str, path: Path) -> None:
        """Give an intact file to a door, so that what is loaded on first use takes no part in anybody's time."""
        answer = self.give(door, path, seconds=_START_S)
        assert answer.kind == "done", answer.text

    def give(self, door: str, path: Path, *, seconds: float = MOST_S) -> Answer:
        """Give a file to a door."""
        if self._process is None:
            self._process = self._started()
        process = self._process
        assert process.stdin is not None
        process.stdin.write(json.dumps([door, str(path)]) + "\n")
        process.stdin.flush()
        line = self._line(seconds)
        if line is None:
            self._end()
            return Answer("hang", f"no answer within {seconds:g} s")
        if not line:
            process.wait()
            self._end()
            return Answer("crash", f"the process ended with {process.returncode}")
        answer = Answer(**json.loads(line))
        if answer.kind == "large":  # what a process has held at most never grows less
            self._end()
        return answer

    def _started(self) -> subprocess.Popen[str]:
        paths = [str(_ROOT / "src"), str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "TILEWISE_CACHE": str(self._cache)}
        environment["TILEWISE_SLIDE_TIMEOUT"] = "3"  # twice within MOST_S
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.soak.doors"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment,
            cwd=_ROOT,
        )  # fmt: skip
        if self._line(_START_S) != "ready\n":
            self._end()
            raise RuntimeError("the process behind the doors did not start; run python -m tests.soak.doors by hand")
        return self._process

    def _line(self, seconds: float) -> str | None:
        assert self._process is not None
        assert self._process.stdout is not None
        # One line is asked for at a time, so that none waits in the buffer of the stream.
        ready = wait([self._process.stdout], seconds)
        return self._process.stdout.readline() if ready else None

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _doors() -> dict[str, Callable[[Path], Any]]:
    from tilewise import api, errors
    from tilewise.auditing.decisions import Names, read_decisions
    from tilewise.auditing.table import read_findings, read_slides
    from tilewise.cohort import Cohort, Slide, read_scaled_mask
    from tilewise.errors import TilewiseError
    from tilewise.extraction.bag import FeatureBag
    from tilewise.folds import Folds
    from tilewise.inference.classifier import ClassifierBundle
    from tilewise.inference.predictions import Predictions
    from tilewise.interchange.folder import FeatureFolder
    from tilewise.recipe import load_recipe
    from tilewise.reporting.gather import gather
    from tilewise.run_folder import RunFolder
    from tilewise.slides import open_slide, read_image
    from tilewise.tiles.tileset import TileSet
    from tilewise.tuning.space import load_space
    from tilewise.units import Box, Size

    def image(path: Path) -> None:
        with open_slide(path, max_pixels=4_000_000) as reader:
            reader.read_region(Box(0, 0, 1, 1))
            reader.thumbnail(32)
        read_image(path, max_pixels=4_000_000)

    def mask(path: Path) -> None:
        for inverted in (False, True):
            read_scaled_mask(Slide("a.png", path.with_name("a.png"), path), Size(64, 48), inverted=inverted)

    def table(path: Path) -> None:
        with contextlib.suppress(TilewiseError):  # the other purpose is asked as well
            Cohort.discover(path, purpose="predict")
        Cohort.discover(path, purpose="train")

    def run_of(path: Path) -> Path:
        return next(folder for folder in path.parents if (folder / "audit").is_dir())

    def features(path: Path) -> None:
        for failure in FeatureFolder.find(path).each(bool).failures:
            if not hasattr(errors, failure.error):
                raise AssertionError(f"{failure.error}: {failure.message}")

    return {
        "hang": lambda path: time.sleep(60),
        "hoard": lambda path: bytearray(b"x") * int(MOST_MB * 1_000_000),
        "crash": lambda path: os.abort(),
        "image": image,
        "mask": mask,
        "table": table,
        "decisions": lambda path: read_decisions(path, Names(["a.png", "b.png", "ü.png"], ["A", "B"])),
        "features": features,
        "space": load_space,
        "recipe": lambda path: load_recipe(path).model_dump_json(),
        "bag": lambda path: FeatureBag.read(path, "a.png", key="k"),
        "tiles": TileSet.read,
        "folds": Folds.read,
        "predictions": Predictions.read,
        "findings": read_findings,
        "slides": read_slides,
        "identity": lambda path: RunFolder(run_of(path)).read_identity(),
        "evaluate": lambda path: api.evaluate(run_of(path)),
        "verify": lambda path: api.verify(run_of(path)),
        "model": lambda path: ClassifierBundle.load(run_of(path) / "model"),
        "report": lambda path: gather(RunFolder(run_of(path))),
    }


def _serve() -> None:
    from tilewise.errors import TilewiseError
    from tilewise.execution.worker_pool import preload_workers

    preload_workers("tilewise.interchange.folder")
    # What a library prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    doors = _doors()
    answers.write("ready\n")
    for line in sys.stdin:
        door, path = json.loads(line)
        try:
            doors[door](Path(path))
            answer = {"kind": "done"}
        except TilewiseError as error:
            answer = {"kind": "named", "text": f"{type(error).__name__}: {error}"}
        except BaseException:  # noqa: BLE001 - whatever it is, the other side judges it
            answer = {"kind": "unnamed", "text": traceback.format_exc()}
        peak_mb = _peak_mb()
        if peak_mb > MOST_MB:
            answer = {"kind": "large", "text": f"the process held {peak_mb:.0f} MB"}
        answers.write(json.dumps(answer) + "\n")


def _peak_mb() -> float:
    """Most memory that this process held; `ru_maxrss` would begin with that of the process that started it."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1000


if __name__ == "__main__":
    _serve()
