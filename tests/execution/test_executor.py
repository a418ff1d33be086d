import pickle
import sys

import pytest

import tilewise as tw
from tilewise.errors import UsageError
from tilewise.execution import current_ray, use_executor


def test_work_stays_here_unless_something_else_is_said(monkeypatch):
    monkeypatch.delenv("TILEWISE_EXECUTOR", raising=False)
    with use_executor(None):
        assert current_ray() is None


@pytest.mark.parametrize(("name", "variable", "source"), [("dask", None, "executor"), (None, "x", "TILEWISE_EXECUTOR")])
def test_an_unknown_executor_is_refused(monkeypatch, name, variable, source):
    if variable is not None:
        monkeypatch.setenv("TILEWISE_EXECUTOR", variable)
    with pytest.raises(UsageError, match=f"{source}='{name or variable}': give one of local, ray"), use_executor(name):
        pytest.fail("it was let in")


def test_what_a_call_says_wins_over_the_variable(monkeypatch):
    monkeypatch.setenv("TILEWISE_EXECUTOR", "x")
    with use_executor("local"):
        assert current_ray() is None


@pytest.fixture
def no_ray(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)


def test_without_ray_the_next_step_is_named(no_ray):
    with pytest.raises(UsageError, match=r"pip install 'tilewise\[ray\]'"), use_executor("ray"):
        pytest.fail("it was let in")


def test_verbs_hear_of_the_variable(no_ray, monkeypatch, tmp_path):
    cohort = tmp_path / "cohort"
    tw.api.synth(cohort, {"num_slides": 4, "min_side_px": 256, "classes": {"A": 1.0, "B": 1.0}})
    monkeypatch.setenv("TILEWISE_EXECUTOR", "ray")
    for verb in (tw.audit, tw.api.tiles, tw.features):
        with pytest.raises(UsageError, match="Ray is not installed"):
            verb(cohort)


def test_ray_is_started_by_no_batch_less(monkeypatch):
    pytest.importorskip("ray", reason="Ray ([ray]) is not installed")
    monkeypatch.setattr("ray.init", lambda **_: pytest.fail("nothing had to be started"))
    with use_executor("ray") as nothing:
        assert nothing is None
        assert current_ray() is not None
    assert current_ray() is None


def test_ray_client_is_refused(monkeypatch):
    pytest.importorskip("ray", reason="Ray ([ray]) is not installed")
    from tilewise.execution import run_each

    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    with use_executor("ray"), pytest.raises(UsageError, match="ray job submit"):
        run_each(abs, {"a": -1}, stage="s")


@pytest.mark.parametrize("name", ["ConnectionError", "RayError"])  # nobody is there; a token is asked for
def test_a_cluster_that_cannot_be_joined_is_named_with_what_it_may_want(monkeypatch, name):
    ray = pytest.importorskip("ray", reason="Ray ([ray]) is not installed")
    from tilewise.execution import run_each

    error = {"ConnectionError": ConnectionError, "RayError": ray.exceptions.RayError}[name]("no answer")

    def refuse(**_):
        raise error

    monkeypatch.setattr("ray.init", refuse)
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    with use_executor("ray"), pytest.raises(UsageError, match=r"head:6379.*no answer.*RAY_AUTH_MODE=token"):
        run_each(abs, {"a": -1}, stage="s")


def test_a_node_with_another_version_is_named(tmp_path):
    pytest.importorskip("ray", reason="Ray ([ray]) is not installed")
    from tilewise.execution import ray_pool
    from tilewise.execution.bundle_work import Job
    from tilewise.execution.shared_files import SharedFiles

    class Reference:
        def hex(self):
            return "0"

    job = Job("read", None, SharedFiles(str(tmp_path), {}, ()), "0.0.1")
    report = pickle.loads(ray_pool._work(job, [Reference()], [("a", 1)]))
    assert "the run was started by 0.0.1; install the same version on all nodes" in str(report.refusal)
