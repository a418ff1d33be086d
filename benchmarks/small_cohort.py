"""The ladder of `small-cohort`: how often it climbs in vain, what that costs, and what it reaches beside the systems.

    python benchmarks/small_cohort.py rule [--cohorts 40] [--slides 160]
    python benchmarks/small_cohort.py table COHORT SYSTEMS [--time-limit 20m]

`rule` draws features of cohorts: the class shows in the mean of every tile (`all tiles`), or in one of a slide's twelve
tiles alone, which another feature marks (`few tiles`). One fold of each climbs, by one and by two cuts of its inner
folds, and every rung is trained and scored on 1,000 further slides. The table shows, for each number of standard errors
that a gain has to exceed, which rungs are chosen, what they reach, and how far that is behind the best rung.

`table` trains `small-cohort` on a cohort that `benchmarks/systems.py --num-folds 5 --out SYSTEMS` has measured, and
compares it with each of the runs that lie there: paired difference in macro F1 with its interval, and seconds.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

import tilewise as tw
from systems import processor_seconds
from tilewise.evaluation.compare import paired_difference
from tilewise.evaluation.sample import Sample
from tilewise.extraction.bag import FeatureBag
from tilewise.folds import FoldItem, FoldsConfig, make_folds
from tilewise.ladder.climb import climb
from tilewise.ladder.gain import gain_of
from tilewise.metrics import primary_score
from tilewise.pipeline.slide_inputs import FeatureInputs
from tilewise.run_folder import RunFolder
from tilewise.training.fold_request import FoldRequest

NUM_TILES, NUM_FEATURES, NUM_FRESH = 12, 16, 1000
CLASSES, SHARES = ("A", "B", "C"), (0.5, 0.3, 0.2)
LIMITS = (0.5, 1.0, 1.5, 2.0)


def draw(scenario: str, num_slides: int, effect: float, rng: np.random.Generator) -> tuple[dict, dict]:
    """Bags and labels of slides."""
    label_S = rng.choice(len(CLASSES), size=num_slides, p=SHARES)
    bags, labels = {}, {}
    for number, label in enumerate(label_S):
        features_ND = rng.normal(size=(NUM_TILES, NUM_FEATURES))
        features_ND += 0.5 * rng.normal(size=NUM_FEATURES)  # slides differ in more than their class
        tiles = slice(None) if scenario == "all tiles" else slice(0, 1)
        features_ND[tiles, label] += effect if scenario == "all tiles" else 3.0 * effect
        features_ND[tiles, -1] += 0.0 if scenario == "all tiles" else 6.0
        name = f"s{number:04d}"
        bags[name] = FeatureBag(name, features_ND.astype(np.float32), np.zeros((NUM_TILES, 4), np.int64))
        labels[name] = CLASSES[label]
    return bags, labels


def one_cohort(scenario: str, num_slides: int, seed: int, out: Path) -> tuple[list[list[float]], list[float]]:
    """Scores of each rung on the inner folds, two cuts of them, and on fresh slides."""
    rng = np.random.default_rng(seed)
    bags, labels = draw(scenario, num_slides, 0.8, rng)
    fresh, truth = draw(scenario, NUM_FRESH, 0.8, rng)
    fresh = {f"fresh-{name}": bag for name, bag in fresh.items()}
    inputs = FeatureInputs(({**bags, **fresh},))
    recipe = tw.load_recipe("small-cohort")
    fold = make_folds([FoldItem(name, labels[name]) for name in bags], FoldsConfig(), seed=seed).folds[0]
    requests = {
        name: FoldRequest(0, fold, labels, CLASSES, rung.head, rung.training, seed=seed)
        for name, rung in recipe.rungs().items()
    }
    config = recipe.ladder.model_copy(update={"repeats": 2, "min_standard_errors": 10.0})  # all over the first
    choice = climb(requests, config, inputs, level=0.95, out=out / "inner")
    truth_S = np.array([CLASSES.index(label) for label in truth.values()])
    reached = []
    for name, request in requests.items():
        model = inputs.train(request, out=out / name)
        probabilities_SC = inputs.predict((model,), tuple(fresh)).probabilities_MSC[0]
        reached.append(primary_score("macro_f1", truth_S, probabilities_SC.argmax(axis=1), probabilities_SC))
    return [list(rung.scores) for rung in choice.rungs], reached


def climb_again(scores: list[list[float]], limit: float, repeats: int, num_folds: int = 5) -> int:
    """The rung that a ladder with this limit chooses, by its position."""
    standing, num = 0, num_folds * repeats
    for rung in range(1, len(scores)):
        gain = gain_of(scores[rung][:num], scores[standing][:num], num_folds=num_folds, level=0.95)
        standing = rung if gain.exceeds(limit) else standing
    return standing


def rule(num_cohorts: int, num_slides: int) -> None:
    """Print the table of limits."""
    results: dict[str, list] = {"all tiles": [], "few tiles": []}
    for seed in range(num_cohorts):
        for scenario, of_scenario in results.items():
            with tempfile.TemporaryDirectory() as folder:
                of_scenario.append(one_cohort(scenario, num_slides, seed, Path(folder)))
            print(json.dumps([scenario, seed, *of_scenario[-1]]), file=sys.stderr, flush=True)
    print_rule(results)


def print_rule(results: Mapping[str, Sequence]) -> None:
    """What each limit comes to."""
    print("| cohorts | cuts | standard errors | chosen: means, tiles, attention | F1 | behind the best | F1 of each |")
    print("|---|---|---|---|---|---|---|")
    for scenario, of_scenario in results.items():
        reached_KR = np.array([reached for _, reached in of_scenario])
        fixed = ", ".join(f"{value:.3f}" for value in reached_KR.mean(axis=0))
        for repeats, limit in itertools.product((1, 2), LIMITS):
            chosen = np.array([climb_again(scores, limit, repeats) for scores, _ in of_scenario])
            counts = ", ".join(str(n) for n in np.bincount(chosen, minlength=reached_KR.shape[1]))
            score_K = reached_KR[np.arange(len(chosen)), chosen]
            behind = (reached_KR.max(axis=1) - score_K).mean()
            cells = (scenario, repeats, limit, counts, f"{score_K.mean():.3f}", f"{behind:.3f}", fixed)
            print("| " + " | ".join(map(str, cells)) + " |")


def table(cohort: Path, systems: Path, time_limit: str | None) -> None:
    """Print how `small-cohort` does beside the runs of the five systems, on their folds."""
    finished = {path.parent.name: path.parent for path in sorted(systems.glob("*/manifest.json"))}
    # A pilot of one epoch is the run of a system that had no time for more.
    names = sorted({name.removesuffix("-pilot") for name in finished} - {"small-cohort"})
    runs = [tw.Run.open(finished.get(name, systems / f"{name}-pilot")) for name in names]
    recipes, out = [run.folder.read_identity()["recipe"] for run in runs], systems / "small-cohort"
    start, before = time.perf_counter(), processor_seconds()
    if not RunFolder(out).is_finished:
        # What the systems were given of the cohort: its folds, checks and masks. What only some have is their own.
        common = [
            f"{name}={json.dumps(recipes[0][name])}"
            for name in ("folds", "audit", "segment")
            if all(recipe[name] == recipes[0][name] for recipe in recipes)
        ]
        limit = [] if time_limit is None else ["--time-limit", time_limit]
        command = ["train", str(cohort), "--recipe", "small-cohort", "--out", str(out), "--quiet", *limit]
        sets = [part for setting in common for part in ("--set", setting)]
        subprocess.run([sys.executable, "-m", "tilewise", *command, *sets], check=True)
    seconds, worked, own = time.perf_counter() - start, processor_seconds() - before, tw.Run.open(out)
    times = f"{seconds:.0f} s, {worked:.0f} s of a processor (0 where it lay there)"
    print(f"small-cohort: {own.evaluation.primary} in {times}\n")
    print("| run | macro F1 | small-cohort minus this |\n|---|---|---|")
    for run in runs:
        tests = [one.predictions.to_frame() for one in (own, run)]
        tests = [frame[frame["part"] == "test"] for frame in tests]
        both = set(tests[0]["slide"]) & set(tests[1]["slide"])
        samples = [Sample.of(frame[frame["slide"].isin(both)], own.evaluation.classes) for frame in tests]
        compared = paired_difference(samples[:1], samples[1:]).metrics["macro_f1"]
        print(f"| {run.folder.root.name} | {compared.b:.3f} | {compared.difference:+.3f}, {len(both)} slides |")


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    of_rule = commands.add_parser("rule")
    of_rule.add_argument("--cohorts", type=int, default=40)
    of_rule.add_argument("--slides", type=int, default=160)
    of_table = commands.add_parser("table")
    of_table.add_argument("cohort", type=Path)
    of_table.add_argument("systems", type=Path)
    of_table.add_argument("--time-limit")
    arguments = parser.parse_args()
    if arguments.command == "rule":
        rule(arguments.cohorts, arguments.slides)
    else:
        table(arguments.cohort, arguments.systems, arguments.time_limit)


if __name__ == "__main__":
    main()
