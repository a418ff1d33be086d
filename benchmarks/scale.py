"""Time and memory of a whole `tilewise train` on 100 to 20,000 small drawn slides: linear in slides, memory flat?

    python benchmarks/scale.py [--slides 100 400 ...] [--workers 1 2] [--set KEY=VALUE ...] [--out FOLDER]

Each row is a process of its own with an empty cache: audit, tiles, features of the encoder `texture`, five folds of the
head `logistic`, scores, report. Slides are 256 px, with a mask; each is drawn by itself from a random field, since
slides that are varied from a few would be copies to the audit. Processor seconds are those of the process and its
workers; memory is the most that each of them ever held.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import multiprocessing.forkserver
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

SIDE_PX = 256
CLASSES = ("A", "B", "C")
SETTINGS = ("tiles.size_px=64", "tiles.stride_px=null", "head.kind=logistic", "folds.num_folds=5")
STAGES = ("audit", "tiles", "features", "folds")


def draw_slide(folder: Path, number: int) -> None:
    """An island of purple tissue on glass; how coarse and how red it is tells the class, roughly."""
    generator = np.random.default_rng(number)
    klass = number % len(CLASSES)
    noise = generator.standard_normal((SIDE_PX, SIDE_PX), np.float32)
    cells = cv2.GaussianBlur(noise, (0, 0), 1.6 + 0.3 * klass)
    shape = cv2.GaussianBlur(noise[::16, ::16].copy(), (0, 0), 1.0)
    shape = cv2.resize(shape / shape.std(), (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[-1:1:256j, -1:1:256j]
    inside = (x**2 + y**2 + 0.15 * shape < 0.6) & (np.maximum(abs(x), abs(y)) < 0.9)
    colour = np.array((190, 110 + 12 * klass, 170), np.float32) + generator.normal(0, 8, 3).astype(np.float32)
    pixels = np.full((SIDE_PX, SIDE_PX, 3), 238, np.float32)
    pixels[inside] = (colour + 22.0 * (cells / cells.std())[..., None])[inside]
    options = (cv2.IMWRITE_PNG_COMPRESSION, 1)
    cv2.imwrite(str(folder / "images" / f"slide_{number:06d}.png"), pixels.clip(0, 255).astype(np.uint8), options)
    cv2.imwrite(str(folder / "masks" / f"slide_{number:06d}.png"), inside.astype(np.uint8) * 255, options)


def draw(folder: Path, num_slides: int) -> None:
    """A cohort of so many slides."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(num_slides):
        draw_slide(folder, number)
    with (folder / "labels.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["sample_index", "label"])
        rows.writerows([f"slide_{number:06d}.png", CLASSES[number % len(CLASSES)]] for number in range(num_slides))


class StageTimes:
    """A progress display that keeps the wall seconds of every stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def task(self, description: str, total: int) -> Iterator[Any]:
        """Time a stage."""
        del total
        start = time.monotonic()
        yield self
        self.seconds[description] = self.seconds.get(description, 0.0) + time.monotonic() - start

    def advance(self, steps: int = 1) -> None:
        """Nothing is shown."""


class WorkerMemory(threading.Thread):
    """Looks, while the work goes on, at the most that any process below this one has ever held, in MB (Linux)."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0.0

    def run(self) -> None:
        """Look twice a second."""
        while True:
            parents, peaks = {}, {}
            for path in Path("/proc").glob("[0-9]*/status"):
                with contextlib.suppress(OSError):
                    fields = dict(line.split(":", 1) for line in path.read_text().splitlines())
                    parents[int(fields["Pid"])] = int(fields["PPid"])
                    peaks[int(fields["Pid"])] = int(fields.get("VmHWM", "0 kB").split()[0]) / 1024
            servers = {pid for pid, parent in parents.items() if parent == os.getpid()}
            self.peak = max(self.peak, *(peaks[pid] for pid, parent in parents.items() if parent in servers), 0.0)
            time.sleep(0.5)


def measure(home: Path, workers: int, settings: list[str]) -> dict[str, Any]:
    """Train in this process and say what it took."""
    from tilewise import api
    from tilewise.execution import show_progress

    os.environ["TILEWISE_CACHE"] = str(home / "cache")
    stages, workers_memory, start = StageTimes(), WorkerMemory(), time.monotonic()
    workers_memory.start()
    with show_progress(stages):
        run = api.train(
            home / "cohort", api.load_recipe("texture", [*SETTINGS, *settings]), out=home / "run", workers=workers
        )
    wall = time.monotonic() - start
    multiprocessing.forkserver._forkserver._stop()  # noqa: SLF001 - else its workers' time would not be counted
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    files = [path for path in (home / "cache").rglob("*") if path.is_file()]
    return {
        "num_scored": run.evaluation.out_of_fold.num_slides,
        "wall": wall,
        "stages": stages.seconds,
        "processor": sum(one.ru_utime + one.ru_stime for one in (own, others)),
        "memory": own.ru_maxrss / 1024,
        "worker_memory": workers_memory.peak,
        "cache_mb": sum(path.stat().st_size for path in files) / 1e6,
        "cache_files": len(files),
        "run_mb": sum(path.stat().st_size for path in (home / "run").rglob("*") if path.is_file()) / 1e6,
        "report_mb": run.folder.report.stat().st_size / 1e6,
    }


def row(num_slides: int, workers: int, made: dict[str, Any], drawing: float) -> str:
    rest = made["wall"] - sum(made["stages"].get(name, 0.0) for name in STAGES)
    cells = [
        f"{num_slides:,}", str(workers), f"{drawing:.0f}", f"{made['wall']:.0f}",
        *(f"{made['stages'].get(name, 0.0):.1f}" for name in STAGES), f"{rest:.1f}", f"{made['processor']:.0f}",
        f"{1000 * made['processor'] / num_slides:.0f}", f"{made['memory']:.0f}", f"{made['worker_memory']:.0f}",
        f"{made['cache_mb']:.0f} ({made['cache_files']:,})", f"{made['run_mb']:.1f}", f"{made['report_mb']:.1f}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slides", type=int, nargs="+", default=[100, 400])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--set", action="append", default=[], help="a key of the recipe")
    parser.add_argument("--out", type=Path, help="folder for cohorts and runs; a temporary one is removed at the end")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, options.workers[0], options.set)))
        return
    heads = [
        "slides", "workers", "drawing s", "train s", *STAGES, "rest", "processor s", "ms a slide", "MB",
        "MB of a worker", "cache MB (files)", "run MB", "report MB",
    ]  # fmt: skip
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}", flush=True)
    with contextlib.ExitStack() as stack:
        out = options.out or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for num_slides in options.slides:
            cohort = out / f"{num_slides}" / "cohort"
            start = time.monotonic()
            if not (cohort / "labels.csv").is_file():
                draw(cohort, num_slides)
            drawing = time.monotonic() - start
            for workers in options.workers:
                home = out / f"{num_slides}" / f"workers-{workers}"
                home.mkdir()
                (home / "cohort").symlink_to(cohort.resolve())
                more = [part for setting in options.set for part in ("--set", setting)]
                command = [sys.executable, __file__, "--measure", str(home), "--workers", str(workers), *more]
                made = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
                print(row(num_slides, workers, made, drawing), flush=True)


if __name__ == "__main__":
    main()
