"""The main job from nothing: cohort in, score, classifier and report out, with an empty cache.

python benchmarks/spine.py [--slides 200]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DATA = Path(os.environ.get("TILEWISE_DATA", "../shared/data"))


def tilewise(*arguments: str, cache: Path) -> tuple[float, str]:
    """Seconds of wall time, and what went to stdout."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "tilewise", *arguments]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "TILEWISE_CACHE": str(cache)}
    )
    return time.perf_counter() - start, done.stdout


def line(name: str, cohort: Path, folder: Path) -> str:
    cache = folder / f"cache-{name}"
    first, out = tilewise("train", str(cohort), "--out", str(folder / f"run-{name}"), "--json", "--quiet", cache=cache)
    again, _ = tilewise("train", str(cohort), "--out", str(folder / f"again-{name}"), "--quiet", cache=cache)
    scores = json.loads(out)["out_of_fold"]
    score, guess = scores["macro_f1"], scores["baselines"]["random"]["macro_f1"]
    return (
        f"| {name} | {scores['num_slides']} | {first:.0f} | {again:.0f} | {score['value']:.3f} "
        f"[{score['low']:.3f}, {score['high']:.3f}] | {guess['value']:.3f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--slides", type=int, default=200)
    slides = parser.parse_args().slides
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        drawn, _ = tilewise("synth", str(folder / "drawn"), "--slides", str(slides), "--quiet", cache=folder / "c")
        print(f"drawing {slides} training and {slides // 4} test slides: {drawn:.0f} s\n")
        print("| cohort | slides | train s | again, features cached s | macro F1 | guessing at random |")
        print("|---|---|---|---|---|---|")
        print(line("drawn", folder / "drawn", folder))
        if DATA.is_dir():
            print(line("osteosarcoma", DATA / "osteosarcoma", folder))
        else:
            print(f"osteosarcoma: skipped, {DATA} is not there (set TILEWISE_DATA)")
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        print(f"\npeak memory of one process: {peak:.2f} GiB")


if __name__ == "__main__":
    main()
