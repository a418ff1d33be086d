"""One job on this machine's processes and on a Ray that is started for it, each from an empty cache, in turns.

    python benchmarks/executors.py [--slides 1200 | --cohort FOLDER] [--rounds 1] [--workers 2] [--set KEY=VALUE]

The job is `tilewise train` with the recipe `texture`: audit, tiles, features, folds. The start-up of Ray stands apart:
what one item of work takes on it in a process of its own, less the same here. Both runs must be the same to the byte.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from sweep import wall_seconds
from tilewise import api
from tilewise.cohort import Cohort
from tilewise.store import digest_file

EXECUTORS = ("local", "ray")
_START = """
import sys
from tilewise.execution import run_each, use_executor
with use_executor(sys.argv[1], workers={workers}):
    run_each(abs, {{"one": -1}}, stage="start")
"""


def digests(run: Path) -> dict[str, str]:
    """Of every file of a run."""
    files = {str(path.relative_to(run)): path for path in run.rglob("*") if path.is_file()}
    return {name: digest_file(path) for name, path in files.items() if not Path(name).name.startswith(".")}


def main() -> None:
    """Time both in turns and print the difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slides", type=int, default=1200)
    parser.add_argument("--cohort", type=Path, help="a cohort, instead of one that is drawn")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a key of the recipe")
    arguments = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in EXECUTORS}
    starts: dict[str, list[float]] = {name: [] for name in EXECUTORS}
    with tempfile.TemporaryDirectory(prefix="executors-") as folder:
        home = Path(folder)
        cohort = arguments.cohort or home / "cohort"
        if arguments.cohort is None:
            api.synth(cohort, {"num_slides": arguments.slides, "difficulty": 0.3})
        num_slides = len(Cohort.discover(cohort).slides)
        options = ["--recipe", "texture", "--workers", str(arguments.workers), "--quiet"]
        options += [part for setting in arguments.set for part in ("--set", setting)]
        for _ in range(arguments.rounds):
            for name in EXECUTORS:
                script = _START.format(workers=arguments.workers)
                starts[name].append(wall_seconds([sys.executable, "-c", script, name], home / "cache"))
                for old in (home / name, home / "cache"):
                    shutil.rmtree(old, ignore_errors=True)
                train = ["train", str(cohort), "--out", str(home / name / "run"), "--executor", name, *options]
                seconds[name].append(wall_seconds([sys.executable, "-m", "tilewise", *train], home / "cache"))
        same = digests(home / "local" / "run") == digests(home / "ray" / "run")
    local, ray = (statistics.median(seconds[name]) for name in EXECUTORS)
    start = statistics.median(starts["ray"]) - statistics.median(starts["local"])
    print(f"{num_slides} slides, {arguments.workers} workers, medians of {arguments.rounds}\n")
    print("| local, s | Ray, s | of that start-up, s | Ray without it costs | same bytes |\n|---|---|---|---|---|")
    print(f"| {local:.1f} | {ray:.1f} | {start:.1f} | {(ray - start) / local - 1:+.1%} | {'yes' if same else 'NO'} |")


if __name__ == "__main__":
    main()
