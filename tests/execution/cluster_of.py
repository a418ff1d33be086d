"""Work on a Ray cluster of two nodes on this machine, one of which is killed in the middle; prints JSON.

A script of its own: Ray opens sockets, and its processes must not outlive a test. Called by `OUT JOB`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import tilewise as tw
from tests.execution.two_nodes import TwoNodes, digests
from tests.training.networks.together_of import train as train_together
from tilewise.errors import SlideUnreadable, TrainingError, UsageError
from tilewise.execution import ExecutorName, run_each, use_executor
from tilewise.models.networks import NetworkModel
from tilewise.store import digest_bytes
from tilewise.sweep.grid import load_grid
from tilewise.training.history import History

LIMIT_S = 3.0
OVERRIDES = ["folds.num_folds=3", "tiles.size_px=128"]
RECIPE = tw.load_recipe("texture", OVERRIDES)
GRID = """
name: heads
description: Two heads, with and without dropout.
factors:
  head:
    linear: {head.kind: linear, head.refit: null}
    mlp: {head.kind: mlp, head.hidden_sizes: [16], head.refit: null}
  head.dropout: [0.0, 0.3]
"""
SPACE = {
    "name": "rates",
    "description": "How fast a linear head learns.",
    "head.dropout": {"low": 0.0, "high": 0.5},
    "training.learning_rate": {"low": 0.01, "high": 0.5, "log": True},
}
NUM_TRIALS = 4


def work(scale_N: np.ndarray[Any, Any], folder: Path, seconds: float, value: int) -> float:
    """A square; of numbers below 0 each goes wrong in its own way. Every call notes its node and process."""
    import ray

    with (folder / f"{value}").open("a") as file:
        file.write(f"{ray.get_runtime_context().get_node_id()} {os.getpid()}\n")
    if value == -1:
        raise SlideUnreadable("three.png: truncated; fetch it again")
    if value == -2:
        os.kill(os.getpid(), signal.SIGKILL)
    if value == -3:
        time.sleep(600)
    time.sleep(seconds)
    return value * float(scale_N[value])


def refuse(value: int) -> int:
    raise UsageError(f"not like this: {value}")


def faults(folder: Path) -> dict[str, Any]:
    """Items that go wrong, and wrong use."""
    items = {f"slide {value}": value for value in (*range(10), -1, -2, -3)}
    scale_N = np.arange(1_000_000, dtype=np.float64)  # more than Ray sends along with a task
    outcome = run_each(partial(work, scale_N, folder, 0.0), items, stage="read", limit_s=LIMIT_S)
    try:
        run_each(refuse, {"a": 1, "b": 2}, stage="read")
    except UsageError as error:
        refusal = str(error)
    return {
        "results": outcome.results,
        "failures": {failure.item: [failure.error, failure.message] for failure in outcome.failures},
        "refusal": refusal,
    }


def killed(folder: Path, nodes: TwoNodes) -> dict[str, Any]:
    """Items while a node is killed that works on one of them."""
    items = {f"slide {value}": value for value in range(5)}
    killer = nodes.kill_second(folder)
    outcome = run_each(partial(work, np.arange(1_000_000.0), folder, 4.0), items, stage="read")
    killer.join()
    times = [len(path.read_text().splitlines()) for path in folder.iterdir()]
    return {"results": outcome.results, "failures": len(outcome.failures), "most_times": max(times)}


def trained(cohort: Path, out: Path, executor: ExecutorName) -> dict[str, str]:
    """Digests of a run's files."""
    os.environ["TILEWISE_CACHE"] = str(out.parent / "cache")
    tw.train(cohort, RECIPE, out=out, workers=1 if executor == "local" else 2, executor=executor)
    return digests(out)


def draw_cohort(folder: Path, num_slides: int) -> Path:
    options = {"num_slides": num_slides, "min_side_px": 256, "classes": {"A": 1.0, "B": 1.0}}
    tw.api.synth(folder / "cohort", options, workers=1)
    return folder / "cohort"


def many_runs(folder: Path, cohort: Path, executor: ExecutorName) -> dict[str, Any]:
    """A sweep and a search."""
    os.environ["TILEWISE_CACHE"] = str(folder / "cache")
    workers = 1 if executor == "local" else 2
    grid = folder.parent / "grid.yaml"
    grid.write_text(GRID)
    tw.api.sweep(
        cohort, load_grid(grid).over("texture", OVERRIDES), out=folder / "sweep", workers=workers, executor=executor
    )
    tuned = tw.api.tune(
        cohort, SPACE, RECIPE.with_(**{"head.kind": "linear", "head.refit": None}),
        out=folder / "search", num_trials=NUM_TRIALS, workers=workers, executor=executor,
    )  # fmt: skip
    variants = {path.name: digests(path) for path in sorted((folder / "sweep" / "variants").iterdir())}
    return {"variants": variants, "trials": {trial.number: trial.value for trial in tuned.trials}}


def networks(folder: Path) -> dict[str, Any]:
    """A network that two processes train, here and one on each node; and on the cluster with one of them killed."""
    os.environ["TILEWISE_CACHE"] = str(folder / "cache")
    result: dict[str, Any] = {"local": described(*train_together(2))}
    with use_executor("ray", writes=[folder]):
        result["ray"] = described(*train_together(2))

        def kill() -> None:
            while len(pids := [path.read_text() for path in folder.glob("fold/together-*/*.pid")]) < 2 or "" in pids:
                time.sleep(0.02)
            os.kill(int(pids[-1]), signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            train_together(2, folder / "fold")
        except TrainingError as error:
            result["killed"] = str(error)
        killer.join()
    return result


def described(model: NetworkModel, history: History) -> dict[str, Any]:
    weights = {name: digest_bytes(array.tobytes()) for name, array in model.weights.items()}
    return {
        "rows": [asdict(row) for row in history.rows],
        "weights": weights,
        "num_devices": model.origin["num_devices"],
    }


def run_networks(folder: Path) -> dict[str, Any]:
    nodes = TwoNodes(folder)
    try:
        return networks(folder)
    finally:
        nodes.close()


def run_long(folder: Path) -> dict[str, Any]:
    cohort = draw_cohort(folder, 40)
    result: dict[str, Any] = {"local": trained(cohort, folder / "local" / "run", "local")}
    result["local many"] = many_runs(folder / "local", cohort, "local")
    nodes = TwoNodes(folder)
    try:
        result["ray many"] = many_runs(folder / "ray", cohort, "ray")

        def kill() -> None:
            while not list((folder / "killed" / "cache" / "features").rglob("*.safetensors")):
                time.sleep(0.02)
            nodes.remove_second()

        killer = threading.Thread(target=kill)
        killer.start()
        result["ray"] = trained(cohort, folder / "killed" / "run", "ray")
        killer.join()
    finally:
        nodes.close()
    return result


def run_short(folder: Path) -> dict[str, Any]:
    for name in ("faults", "killed"):
        (folder / name).mkdir()
    cohort = draw_cohort(folder, 12)
    result: dict[str, Any] = {"local": trained(cohort, folder / "local" / "run", "local")}
    nodes = TwoNodes(folder)
    os.environ["TILEWISE_CACHE"] = str(folder / "ray" / "cache")  # with another one, Ray would start further workers
    try:
        with use_executor("ray", writes=[folder]):
            result["faults"] = faults(folder / "faults")
            result["ray"] = trained(cohort, folder / "ray" / "run", "ray")
            result["killed"] = killed(folder / "killed", nodes)
    finally:
        nodes.close()
    return result


JOBS = {"short": run_short, "networks": run_networks, "long": run_long}

if __name__ == "__main__":
    HOME = Path(sys.argv[1])
    (HOME / "result.json").write_text(json.dumps(JOBS[sys.argv[2]](HOME)))
