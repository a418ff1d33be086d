"""The five systems beside each other: the same cohort, one grouped hold-out, so much time for each.

    python benchmarks/systems.py [--budget 20m] [--cohort FOLDER] [--encoder NAME] [--out systems] [--only RECIPE ...]
    make systems BUDGET=20m

Each packaged recipe is trained by the command line in a process of its own: a pilot of one epoch, which tells what an
epoch costs, and then anew with as many epochs as the budget holds, at most its own number. Stages and cycles that are
counted in epochs shrink with them.

All systems get the network that every installation has, `efficientnet_lite0` from ImageNet, so that the table compares
what the systems do with tiles, masks and training, and not which weights could be downloaded. `--encoder own` takes
each recipe's own; with `--offline`, those that are not here give way to random weights or to `texture`.

Columns: macro F1 on the test part with its interval, wall seconds of the run (the pilot is not in it; its facts and
features are in the cache), most memory that its processes held together, epochs run and epochs of the recipe.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from audit_speed import timed
from tilewise import api
from tilewise.recipe import Recipe, load_recipe

RECIPES = (
    "window-resnet50", "ten-view-phikon", "dual-branch-convnext", "adaptive-patch-resnet50", "component-box-convnext",
)  # fmt: skip
COHORT = {"num_slides": 96, "difficulty": 0.3, "seed": 5, "min_side_px": 384}
# One hold-out for all: what a recipe says of its folds and of its ensemble would not be the same for two of them.
SPLIT = (
    "folds={kind: holdout, test_fraction: 0.3, validation_fraction: 0.2}",
    "ensemble={members: all, weights: equal}",
)
UNITS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    recipe: str
    score: str
    seconds: float
    memory: float
    epochs: str
    notes: tuple[str, ...]

    def line(self) -> str:
        """The line, as Markdown."""
        return f"| `{self.recipe}` | {self.score} | {self.seconds:.0f} | {self.memory:.2f} | {self.epochs} |"


@dataclass(frozen=True)
class Options:
    """What holds for all recipes."""

    out: Path
    budget: float
    encoder: str
    offline: bool

    def settings(self, recipe: Recipe) -> list[str]:
        """The encoder of all systems in the place of the recipe's own, and of that of the mask."""
        if self.encoder == "own":
            return []
        mask = [f"network.mask_encoder={self.encoder}"] if recipe.network.input == "dual_branch" else []
        return [f"encoder.name={self.encoder}", *mask]


def duration(text: str) -> float:
    """Seconds of `90s`, `20m` or `1h`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; give 90s, 20m or 1h")
    return float(match[1]) * UNITS[match[2] or "s"]


def scaled(recipe: Recipe, epochs: int) -> list[str]:
    """Settings for a training of so many epochs that keeps the recipe's proportions."""
    own = recipe.training.epochs or epochs
    share = epochs / own
    settings = [f"training.epochs={epochs}"]
    if recipe.network.trained == "progressive":
        settings.append(f"network.epochs_per_stage={max(1, round(recipe.network.epochs_per_stage * share))}")
    if recipe.training.schedule.kind == "restarts":
        first = max(0.5, recipe.training.schedule.first_cycle_epochs * share)
        settings.append(f"training.schedule.first_cycle_epochs={first:.2f}")
    return settings


def train(name: str, cohort: Path, out: Path, settings: list[str], options: Options) -> tuple[float, float, dict]:
    """Wall seconds, peak GiB and what the command printed."""
    sets = [part for setting in (*SPLIT, *settings) for part in ("--set", setting)]
    command = [
        sys.executable, "-m", "tilewise", "train", str(cohort), "--recipe", name, "--out", str(out), "--quiet",
        "--json", *(["--offline"] if options.offline else []), *sets,
    ]  # fmt: skip
    seconds, memory, printed = timed(command, every_s=2.0, TILEWISE_CACHE=str(options.out / "cache"))
    return seconds, memory, json.loads(printed)


def epoch_seconds(run: Path) -> float:
    """What the one epoch of a pilot cost, from when its files were written; decoding is in it."""
    return (run / "folds" / "0" / "history.csv").stat().st_mtime - (run / "folds.json").stat().st_mtime


def to_recipe(run: Path) -> dict:
    """The recipe that was run, changed where the machine lacks something."""
    return json.loads((run / "run.json").read_text())["recipe"]


def measure(name: str, cohort: Path, options: Options) -> Row:
    """Pilot and run of one recipe."""
    recipe = load_recipe(name, SPLIT)
    settings = options.settings(recipe)
    own = recipe.training.epochs
    if own is None:
        raise SystemExit(f"{name} does not say how many epochs it trains for")
    run = options.out / f"{name}-pilot"
    seconds, memory, answer = train(name, cohort, run, settings + scaled(recipe, 1), options)
    trained = f"1 of {own}"
    if to_recipe(run)["training"]["input"] == "features":
        trained = "a head on features"
    else:
        epochs = min(own, 1 + int((0.9 * options.budget - seconds) / max(epoch_seconds(run), 0.01)))
        if epochs > 1:  # else the pilot is what the budget holds
            run, trained = options.out / name, f"{epochs} of {own}"
            seconds, memory, answer = train(name, cohort, run, settings + scaled(recipe, epochs), options)
    score = answer["out_of_fold"]["macro_f1"]
    written = f"{score['value']:.3f} ({score['low']:.3f} to {score['high']:.3f})"
    return Row(name, written, seconds, memory, trained, tuple(to_recipe(run)["notes"]))


def main() -> None:
    """Train the recipes one after the other and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=duration, default=duration("20m"), help="time for each recipe: 90s, 20m, 1h")
    parser.add_argument("--cohort", type=Path, help="folder of slides; default: a synthetic cohort is drawn")
    parser.add_argument("--encoder", default="efficientnet_lite0", help="of every system; own: each recipe's own")
    parser.add_argument("--offline", action="store_true", help="what is not on this machine gives way, as train says")
    parser.add_argument("--out", type=Path, default=Path("systems"), help="folder for the runs")
    parser.add_argument("--only", nargs="+", choices=RECIPES, default=RECIPES, metavar="RECIPE")
    arguments = parser.parse_args()
    options = Options(arguments.out.resolve(), arguments.budget, arguments.encoder, arguments.offline)
    cohort = arguments.cohort
    if cohort is None:
        cohort = options.out / "cohort"
        if not cohort.exists():
            api.synth(cohort, COHORT)
    num_processors = subprocess.run(["nproc"], capture_output=True, text=True, check=False).stdout.strip() or str(
        os.cpu_count()
    )
    lines = [
        (
            f"{arguments.budget / 60:g} minutes for each recipe, {num_processors} processors, {cohort.name}, "
            f"encoder {options.encoder}"
        ),
        "",
        "| recipe | macro F1, test part | seconds | peak GiB | epochs |",
        "|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    notes = []
    for name in arguments.only:
        row = measure(name, cohort, options)
        lines.append(row.line())
        print(lines[-1], flush=True)
        notes += [f"- `{name}`: {note}" for note in row.notes]
    if notes:
        lines += ["", "Changed because the weights are not on this machine:", "", *notes]
        print("\n".join(["", *notes]))
    (options.out / "table.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
