"""The whole job on a cohort it makes itself: `make demo`."""

from __future__ import annotations

import sys
from pathlib import Path

from tilewise.cli.main import run

NUM_SLIDES = "160"


def main(folder: Path) -> int:
    """Make a cohort, train on it, predict its test slides; the run's own messages say where things lie."""
    cohort, out = str(folder / "cohort"), str(folder / "run")
    steps = [
        ["synth", cohort, "--slides", NUM_SLIDES],
        ["train", cohort, "--out", out],
        ["predict", out, cohort, "--out", str(folder / "submission.csv")],
    ]
    for step in steps:
        print("$ tilewise " + " ".join(step), flush=True)  # noqa: T201 - a script talks to a person
        code = run(step)
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo")))
