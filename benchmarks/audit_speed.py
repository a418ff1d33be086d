"""Seconds and memory of an audit with an empty cache, beside cleanvision and imagededup on the same pictures.

    python benchmarks/audit_speed.py [--slides 1200] [--others PYTHON] [--keep FOLDER]

Slides are 1024 x 1500 px PNG files with masks, all different.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import cv2
import numpy as np

from tilewise import api

SIZE = (1500, 1024)


def draw(folder: Path, num: int) -> Path:
    """A cohort of slides of one size: drawn ones, on a canvas of their own glass or cut to it."""
    root = folder / "cohort"
    if (root / "train_labels.csv").is_file():
        return root
    api.synth(root, {"num_slides": num, "seed": 7})
    for path in sorted((root / "train_data").glob("img_*.png")):
        mask = path.with_name(path.name.replace("img", "mask"))
        for file, flags in ((path, cv2.IMREAD_COLOR), (mask, cv2.IMREAD_GRAYSCALE)):
            picture = cv2.imread(str(file), flags)
            if picture.shape[0] > picture.shape[1]:
                picture = np.ascontiguousarray(picture.swapaxes(0, 1))
            cv2.imwrite(
                str(file), cv2.resize(picture, SIZE, interpolation=cv2.INTER_LINEAR if flags else cv2.INTER_NEAREST)
            )
    return root


class Memory(threading.Thread):
    """The most memory that a process and its children held together, sampled every so many seconds."""

    def __init__(self, pid: int, every_s: float) -> None:
        super().__init__(daemon=True)
        self.pid, self.every_s, self.peak, self.over = pid, every_s, 0, threading.Event()

    def run(self) -> None:
        """Sample until `over` is set."""
        while not self.over.wait(self.every_s):
            self.peak = max(self.peak, sum(_private(pid) for pid in _family(self.pid)))


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(one for child in children for one in _family(int(child)))]


def _private(pid: int) -> int:
    """Bytes that this process alone holds, with its share of what it holds with others."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def timed(command: list[str], every_s: float = 0.1, **environment: str) -> tuple[float, float, str]:
    """Wall seconds, peak memory in GiB and stdout of a command; looking costs a large process some milliseconds."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | environment) as process:
        memory = Memory(process.pid, every_s)
        memory.start()
        out, _ = process.communicate()
        memory.over.set()
    memory.join()
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return time.perf_counter() - start, memory.peak / 2**30, out


def main() -> None:
    """Draw, then time each tool once; the audit a second time with its cache warm."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slides", type=int, default=1200)
    parser.add_argument("--others")
    parser.add_argument("--keep", type=Path, help="Folder to draw into and keep; default: a temporary one.")
    arguments = parser.parse_args()
    folder = arguments.keep or Path(tempfile.mkdtemp())
    root = draw(folder, arguments.slides)
    audit = [sys.executable, "-m", "tilewise", "audit", str(root), "--out", str(folder / "audit"), "--quiet"]
    shutil.rmtree(folder / "cache", ignore_errors=True)
    cache = {"TILEWISE_CACHE": str(folder / "cache")}
    print(f"{arguments.slides} slides of {SIZE[0]} x {SIZE[1]} px, two cores\n\n| tool | s | slides per s | peak GiB |")
    print("|---|---|---|---|")
    for name in ("tilewise audit", "tilewise audit, again"):
        seconds, memory, _ = timed(audit, **cache)
        print(f"| {name} | {seconds:.0f} | {arguments.slides / seconds:.1f} | {memory:.2f} |", flush=True)
    if arguments.others:
        pictures = folder / "pictures"
        pictures.mkdir(exist_ok=True)
        for path in (root / "train_data").glob("img_*.png"):
            if not (pictures / path.name).exists():
                (pictures / path.name).symlink_to(path.resolve())
        script = str(Path(__file__).with_name("audit_others.py"))
        _, memory, out = timed([arguments.others, script, str(pictures)])
        for tool, answer in json.loads(out).items():
            outcome = answer.get("failed") or f"{answer['seconds']:.0f} | {arguments.slides / answer['seconds']:.1f}"
            print(f"| {tool} {answer.get('version', '')} | {outcome} | both at most {memory:.2f} |")
    print(f"\nlargest process: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20:.2f} GiB")
    if arguments.keep is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
