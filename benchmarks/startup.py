"""How long `tilewise --help` takes to start, beside an empty Python interpreter."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

REPEATS = 15


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "tilewise --help": [sys.executable, "-m", "tilewise", "--help"],
        "tilewise train --help": [sys.executable, "-m", "tilewise", "train", "--help"],
        "tilewise recipes check default": [sys.executable, "-m", "tilewise", "recipes", "check", "default"],
    }
    for command in commands.values():
        seconds(command)
    # In turn, so that a noisy moment meets all of them.
    times = {name: [] for name in commands}
    for _ in range(REPEATS):
        for name, command in commands.items():
            times[name].append(seconds(command))
    print("| command | median s | min s |\n|---|---|---|")
    for name, values in times.items():
        print(f"| `{name}` | {statistics.median(values):.2f} | {min(values):.2f} |")


if __name__ == "__main__":
    main()
