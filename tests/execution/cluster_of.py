"""Work on a Ray cluster of two nodes on this machine, one of which is killed in the middle; prints JSON.

A script of its own: Ray opens sockets, and its processes must not outlive a test.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import tilewise as tw
from tilewise.errors import SlideUnreadable, UsageError
from tilewise.execution import run_each, use_executor
from tilewise.store import digest_file

LIMIT_S = 3.0
STORE_BYTES = 100_000_000
RECIPE = {"recipe": "texture", "overrides": {"folds.num_folds": 3, "tiles.size_px": 128}}


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


class TwoNodes:
    """A head with one processor, from where work is started, and another node with one."""

    def __init__(self) -> None:
        import ray
        from ray.cluster_utils import Cluster

        options = {"num_cpus": 1, "object_store_memory": STORE_BYTES}
        self._cluster = Cluster(initialize_head=True, head_node_args={**options, "include_dashboard": False})
        self._second = self._cluster.add_node(**options)
        ray.init(address=self._cluster.address, log_to_driver=False, logging_level="ERROR")
        self._ray = ray

    def kill_second(self, folder: Path) -> threading.Thread:
        """Kill the other node, with all of its processes, once it works on something."""

        def kill() -> None:
            own: list[str] = []
            while not own:
                time.sleep(0.05)
                lines = [line.split() for path in folder.iterdir() for line in path.read_text().splitlines()]
                own = [line[1] for line in lines if len(line) == 2 and line[0] == self._second.node_id]
            self._cluster.remove_node(self._second, allow_graceful=False)
            for pid in own:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)

        thread = threading.Thread(target=kill)
        thread.start()
        return thread

    def close(self) -> None:
        self._ray.shutdown()
        self._cluster.shutdown()


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


def trained(cohort: Path, out: Path, executor: str) -> dict[str, str]:
    """Digests of a run's files."""
    recipe = tw.load_recipe(RECIPE["recipe"]).with_(**RECIPE["overrides"])
    os.environ["TILEWISE_CACHE"] = str(out.parent / "cache")
    tw.train(cohort, recipe, out=out, workers=1 if executor == "local" else 2, executor=executor)
    files = {str(path.relative_to(out)): path for path in sorted(out.rglob("*")) if path.is_file()}
    return {name: digest_file(path) for name, path in files.items() if name[0] != "."}


def main(folder: Path) -> dict[str, Any]:
    for name in ("faults", "killed"):
        (folder / name).mkdir()
    tw.api.synth(folder / "cohort", {"num_slides": 12, "min_side_px": 256, "classes": {"A": 1.0, "B": 1.0}}, workers=1)
    result: dict[str, Any] = {"local": trained(folder / "cohort", folder / "local" / "run", "local")}
    nodes = TwoNodes()
    try:
        with use_executor("ray", writes=[folder]):
            result["faults"] = faults(folder / "faults")
        result["ray"] = trained(folder / "cohort", folder / "ray" / "run", "ray")
        with use_executor("ray", writes=[folder]):
            result["killed"] = killed(folder / "killed", nodes)
    finally:
        nodes.close()
    return result


if __name__ == "__main__":
    Path(sys.argv[1], "result.json").write_text(json.dumps(main(Path(sys.argv[1]))))
