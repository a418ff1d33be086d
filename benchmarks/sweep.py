"""What a sweep of twelve heads costs, as a multiple of training one of them: each from an empty cache.

    python benchmarks/sweep.py [--encoder texture resnet50] [--slides 96] [--rounds 3]

The grid is the packaged `heads` over the recipe `texture`. One variant is its first row, by `tilewise train`; both are
processes of their own, in turns. Encoders other than texture start from random weights, which costs the same time as
trained ones.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tilewise import api


def settings_of(encoder: str) -> list[str]:
    """Of both commands."""
    chosen = [f"encoder.name={encoder}"] + (["encoder.init=random"] if encoder != "texture" else [])
    return ["--recipe", "texture", *(part for setting in chosen for part in ("--set", setting))]


def wall_seconds(command: list[str], cache: Path) -> float:
    """Of a process that nobody looks at: reading its memory every moment would take part of a processor."""
    start = time.perf_counter()
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env=os.environ | {"TILEWISE_CACHE": str(cache)},
    )  # fmt: skip
    return time.perf_counter() - start


def main() -> None:
    """Time both in turns and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", nargs="+", default=["texture", "resnet50"])
    parser.add_argument("--slides", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        cohort = home / "cohort"
        api.synth(cohort, {"num_slides": arguments.slides, "difficulty": 0.3})
        print(f"{arguments.slides} slides\n\n| encoder | one variant, s | twelve, s | ratio |\n|---|---|---|---|")
        for encoder in arguments.encoder:
            settings = settings_of(encoder)
            commands = {
                "one": ["train", str(cohort), "--out", str(home / "one"), *settings],
                "twelve": ["sweep", str(cohort), "--grid", "heads", "--out", str(home / "twelve"), *settings],
            }
            seconds: dict[str, list[float]] = {name: [] for name in commands}
            for _ in range(arguments.rounds):
                for name, command in commands.items():
                    for old in (home / name, home / "cache"):
                        shutil.rmtree(old, ignore_errors=True)
                    whole = [sys.executable, "-m", "tilewise", *command, "--quiet"]
                    seconds[name].append(wall_seconds(whole, home / "cache"))
            one, twelve = (statistics.median(seconds[name]) for name in commands)
            ratio = statistics.median(b / a for a, b in zip(seconds["one"], seconds["twelve"], strict=True))
            print(f"| {encoder} | {one:.1f} | {twelve:.1f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
