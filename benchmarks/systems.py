"""The five systems beside each other: the same cohort, the same folds, so much time for each.

    python benchmarks/systems.py [--budget 20m] [--cohort COHORT] [--encoder NAME] [--out systems] [--only RECIPE ...]
    make systems BUDGET=20m

COHORT is `drawn`, a public set of `defaults.py` in $TILEWISE_DATA (`osteosarcoma`; `crc_val_he_7k`: seven textures), or
a cohort of your own: a folder or a table. Sets without masks get those of the tissue. With `--num-folds K` every slide
is in a test part once; else 40 % of them are held out.

Each packaged recipe is trained by the command line in a process of its own: a pilot of one epoch, which tells what an
epoch costs, and then anew with as many epochs as the budget holds, at most its own number. Stages and cycles that are
counted in epochs shrink with them.

All systems get the network that every installation has, `efficientnet_lite0` from ImageNet, so that the table compares
what the systems do with tiles, masks and training, and not which weights could be downloaded. `--encoder own` takes
each recipe's own; with `--offline`, those that are not here give way to random weights or to `texture`.

`--processor-time` counts the seconds that processors worked for a run and all its processes, budgets too, so that it
can be measured beside other work; with one thread on an idle processor they are the wall's.

Columns: macro F1 on the test part with its interval, the range of 95 % of those who guess on the same slides, wall
seconds of the run (the pilot is not in it; its facts and features are in the cache), most memory that its processes
held together, epochs run and epochs of the recipe. A row is clear of guessing if its score lies above that range.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import tilewise as tw
from audit_speed import timed
from defaults import SETS
from tilewise import api
from tilewise.recipe import Recipe, load_recipe

RECIPES = (
    "window-resnet50", "ten-view-phikon", "dual-branch-convnext", "adaptive-patch-resnet50", "component-box-convnext",
)  # fmt: skip
COHORT = {"num_slides": 120, "difficulty": 0.1, "seed": 5, "min_side_px": 640}
# What a recipe says of its folds and ensemble would not be the same for two of them. The order of the channels in
# memory changes no score, and saves a third of the time of EfficientNet-Lite0 on a processor.
COMMON = ("ensemble={members: all, weights: equal}", "training.engine.channels_last=true")
UNITS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    recipe: str
    score: str
    guessing: str
    seconds: float
    memory: float
    epochs: str
    notes: tuple[str, ...]

    def line(self) -> str:
        """The line, as Markdown."""
        cells = (self.score, self.guessing, f"{self.seconds:.0f}", f"{self.memory:.2f}", self.epochs)
        return f"| `{self.recipe}` | " + " | ".join(cells) + " |"


@dataclass(frozen=True)
class Options:
    """What holds for all recipes."""

    out: Path
    budget: float
    encoder: str
    offline: bool
    num_folds: int | None
    processor_time: bool
    cohort_settings: tuple[str, ...]

    @property
    def folds(self) -> str:
        """The folds of all systems."""
        if self.num_folds is None:
            return "folds={kind: holdout, test_fraction: 0.4, validation_fraction: 0.2}"
        return f"folds={{kind: kfold, num_folds: {self.num_folds}}}"

    def settings(self, recipe: Recipe) -> list[str]:
        """The encoder of all systems in the place of the recipe's own, and of that of the mask."""
        if self.encoder == "own" or recipe.network is None:
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


@dataclass(frozen=True)
class Measured:
    """What one training took."""

    wall_seconds: float
    processor_seconds: float
    memory: float
    answer: dict

    def seconds(self, options: Options) -> float:
        """The seconds that the budget is of."""
        return self.processor_seconds if options.processor_time else self.wall_seconds


def processor_seconds() -> float:
    """Of all processes that this one started and that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def train(name: str, cohort: Path, out: Path, settings: list[str], options: Options) -> Measured:
    """Run the command."""
    sets = [
        part for setting in (options.folds, *COMMON, *options.cohort_settings, *settings) for part in ("--set", setting)
    ]
    command = [
        sys.executable, "-m", "tilewise", "train", str(cohort), "--recipe", name, "--out", str(out), "--quiet",
        "--json", *(["--offline"] if options.offline else []), *sets,
    ]  # fmt: skip
    before = processor_seconds()
    seconds, memory, printed = timed(command, every_s=2.0, TILEWISE_CACHE=str(options.out / "cache"))
    return Measured(seconds, processor_seconds() - before, memory, json.loads(printed))


def epoch_seconds(run: Path) -> float:
    """What the one epoch of a pilot cost over all folds, from when its files were written; decoding is in it."""
    last = max(path.stat().st_mtime for path in run.glob("folds/*/history.csv"))
    return last - (run / "folds.json").stat().st_mtime


def to_recipe(run: Path) -> dict:
    """The recipe that was run, changed where the machine lacks something."""
    return json.loads((run / "run.json").read_text())["recipe"]


def measure(name: str, cohort: Path, options: Options) -> Row:
    """Pilot and run of one recipe."""
    recipe = load_recipe(name)
    settings = options.settings(recipe)
    own = recipe.training.epochs
    if own is None:
        raise SystemExit(f"{name} does not say how many epochs it trains for")
    run = options.out / f"{name}-pilot"
    pilot = measured = train(name, cohort, run, settings + scaled(recipe, 1), options)
    trained = f"1 of {own}"
    if to_recipe(run)["training"]["input"] == "features":
        trained = "a head on features"
    else:
        seconds = pilot.seconds(options)
        epoch = epoch_seconds(run) * seconds / pilot.wall_seconds
        epochs = min(own, 1 + int((0.9 * options.budget - seconds) / max(epoch, 0.01)))
        if epochs > 1:  # else the pilot is what the budget holds
            run, trained = options.out / name, f"{epochs} of {own}"
            measured = train(name, cohort, run, settings + scaled(recipe, epochs), options)
    score = measured.answer["out_of_fold"]["macro_f1"]
    written = f"{score['value']:.3f} ({score['low']:.3f} to {score['high']:.3f})"
    random = tw.Run.open(run).evaluation.out_of_fold.baselines.random.macro_f1
    guessing = f"{random.low:.2f} to {random.high:.2f}"
    notes = tuple(to_recipe(run)["notes"])
    return Row(name, written, guessing, measured.seconds(options), measured.memory, trained, notes)


def cohort_of(name: str, out: Path) -> tuple[Path, tuple[str, ...]]:
    """The cohort, drawn or its table written where it is not there yet; and what its slides ask of every recipe."""
    if name == "drawn":
        if not (out / name).exists():
            api.synth(out / name, COHORT)
        return out / name, ()
    if name not in SETS:
        return Path(name), ()
    write, audit = SETS[name]
    out.mkdir(parents=True, exist_ok=True)
    table = write(out)
    settings = [f"audit.{key}={value}" for key, value in audit.items()]
    if "mask" not in table.read_text("utf-8").splitlines()[0].split(","):
        settings.append("segment={method: tissue}")
    return table, tuple(settings)


def main() -> None:
    """Train the recipes one after the other and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=duration, default=duration("20m"), help="time for each recipe: 90s, 20m, 1h")
    parser.add_argument("--cohort", default="drawn", help="drawn, a public set, a folder or a table")
    parser.add_argument(
        "--num-folds", type=int, metavar="K", help="folds, each with a test part; default: one hold-out"
    )
    parser.add_argument("--encoder", default="efficientnet_lite0", help="of every system; own: each recipe's own")
    parser.add_argument("--processor-time", action="store_true", help="count the seconds that processors worked")
    parser.add_argument("--offline", action="store_true", help="what is not on this machine gives way, as train says")
    parser.add_argument("--out", type=Path, default=Path("systems"), help="folder for the runs")
    parser.add_argument("--only", nargs="+", choices=RECIPES, default=RECIPES, metavar="RECIPE")
    arguments = parser.parse_args()
    cohort, settings = cohort_of(arguments.cohort, arguments.out.resolve())
    options = Options(
        arguments.out.resolve(), arguments.budget, arguments.encoder, arguments.offline, arguments.num_folds,
        arguments.processor_time, settings,
    )  # fmt: skip
    num_processors = subprocess.run(["nproc"], capture_output=True, text=True, check=False).stdout.strip() or str(
        os.cpu_count()
    )
    lines = [
        (
            f"{arguments.budget / 60:g} minutes for each recipe, {num_processors} processors, {cohort.name}, "
            f"encoder {options.encoder}"
        ),
        "",
        "| recipe | macro F1, test part | guessing | seconds | peak GiB | epochs |",
        "|---|---|---|---:|---:|---|",
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
