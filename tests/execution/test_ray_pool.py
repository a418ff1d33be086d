"""On a cluster of two nodes: the same results as here, faults named, and lost work done again."""

from __future__ import annotations

import platform
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.execution.two_nodes import run_script
from tilewise.errors import UsageError
from tilewise.execution import ray_pool as module
from tilewise.version import __version__

ray = pytest.importorskip("ray", reason="Ray ([ray]) is not installed")

JOBS = Path(__file__).with_name("cluster_of.py")


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run_script(JOBS, tmp_path_factory.mktemp("short"), "short")


def test_workers_find_weights_where_this_process_does(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"HF_HOME": "/shared/hf", "HF_HUB_CACHE": "/shared/hub", "HF_HUB_OFFLINE": "1"}
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    assert names.items() <= module._environment().items()


def test_a_node_that_cannot_take_up_its_work_is_named_with_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    def get(_: object) -> None:
        raise ray.exceptions.RaySystemError(RuntimeError("CUDA out of memory"))

    monkeypatch.setattr(ray, "get", get)
    job = SimpleNamespace(version=__version__, files=SimpleNamespace(check=lambda _: None))
    node = re.escape(platform.node())
    with pytest.raises(UsageError, match=rf"^node {node} of the Ray cluster cannot take up .*\(CUDA out of memory\)"):
        module._find_function(job, b"reference")  # type: ignore[arg-type]


def test_a_task_that_is_just_ending_is_not_cancelled() -> None:
    cancelled: list[str] = []
    pool = module.RayPool(1, reads=[], writes=[])
    pool._ray = SimpleNamespace(
        wait=lambda tasks, **_: (tasks[:1], tasks[1:]), cancel=lambda task, **_: cancelled.append(task)
    )
    pool._cancel([])
    pool._cancel(["ending", "running"])
    assert cancelled == ["running"]


@pytest.mark.cluster
def test_what_goes_wrong_is_named_and_everything_else_is_done(result: dict[str, Any]) -> None:
    faults = result["faults"]
    assert faults["results"] == {f"slide {value}": value * value for value in range(10)}
    assert {name: error for name, (error, _) in faults["failures"].items()} == {
        "slide -1": "SlideUnreadable",
        "slide -2": "WorkerDied",
        "slide -3": "SlideTimeout",
    }
    assert faults["failures"]["slide -1"][1] == "three.png: truncated; fetch it again"


@pytest.mark.cluster
def test_wrong_use_stops_the_batch(result: dict[str, Any]) -> None:
    assert result["faults"]["refusal"].startswith("not like this: ")


@pytest.mark.cluster
def test_what_a_node_that_is_killed_was_at_is_done_again(result: dict[str, Any]) -> None:
    killed = result["killed"]
    assert killed["results"] == {f"slide {value}": value * value for value in range(5)}
    assert killed["failures"] == 0
    assert killed["most_times"] > 1


@pytest.mark.cluster
def test_a_run_is_the_same_to_the_byte(result: dict[str, Any]) -> None:
    assert "model/classifier.json" in result["ray"]
    assert result["ray"] == result["local"]


@pytest.mark.cluster
@pytest.mark.soak
def test_two_nodes_train_a_network_as_two_processes_of_one_machine_do(tmp_path: Path) -> None:
    result = run_script(JOBS, tmp_path, "networks")
    assert result["ray"]["num_devices"] == 2
    assert len(result["ray"]["rows"]) == 4
    assert result["ray"] == result["local"]
    assert result["killed"].startswith("fold 7: one of the 2 processes of the training died")
    assert not list(tmp_path.glob("**/together-*"))


@pytest.mark.cluster
@pytest.mark.soak
def test_runs_sweeps_and_searches_are_the_same_with_a_node_killed_while_features_are_made(tmp_path: Path) -> None:
    result = run_script(JOBS, tmp_path, "long")
    assert result["ray"] == result["local"]
    local, ray = result["local many"], result["ray many"]
    assert len(ray["variants"]) == 4
    assert ray["variants"] == local["variants"]
    # Values of the first ten trials are drawn at random, whatever came before.
    assert len(ray["trials"]) == 4
    assert ray["trials"] == local["trials"]
