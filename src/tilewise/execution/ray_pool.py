"""Work on a Ray cluster: the one file that knows Ray.

Ray schedules tasks, moves data and does lost work again. What is here decides how many items a task takes, and tells a
node that failed from an item that takes its process down.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import platform
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

from tilewise.compute import default_threads, num_processors
from tilewise.errors import UsageError
from tilewise.execution.batch import Batch, Claim
from tilewise.execution.bundle_work import Bundle, Job, Report, work_on
from tilewise.execution.bundles import BundleSizes
from tilewise.execution.failures import Failure, worker_died
from tilewise.execution.shared_files import SharedFiles
from tilewise.store import cache_dir
from tilewise.version import __version__

_log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

# How often Ray does a task again whose node or process is gone, before its items are tried one by one.
_RETRIES: Final = 2
_LOOK_S: Final = 5.0
_ENDING_S: Final = 1.0
# What a process computes with, talks by, and finds weights by, besides tilewise's own variables.
_COMPUTING: Final = (
    *("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY"),
    *("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"),
    *("HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE"),
)


def import_ray() -> Any:
    """Ray, which reports no use of it.

    Raises:
        UsageError: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.util.scheduling_strategies
    except ImportError as error:
        raise UsageError(
            "executor ray: Ray is not installed here; run `pip install 'tilewise[ray]'`, or use --executor local"
        ) from error
    return ray


class RayPool:
    """Runs batches on a cluster: the one that this process is connected to, at `$RAY_ADDRESS`, or its own.

    Nothing is started before the first batch.

    Args:
        workers: processors of a cluster of its own; None takes all of this machine.
        reads: files that every node has to see under the same path.
        writes: files or folders that every node has to write to; the cache is one in any case.

    Raises:
        UsageError: Ray is not installed.
    """

    def __init__(self, workers: int | None, *, reads: Iterable[Path], writes: Iterable[Path]) -> None:
        self._ray = import_ray()
        self._workers, self._reads, self._writes = workers, tuple(reads), (cache_dir(), *writes)
        self._files: SharedFiles | None = None
        self._is_own = False
        self._nodes: tuple[float, list[dict[str, float]]] | None = None

    def close(self) -> None:
        """Leave the cluster, and end it if it is its own."""
        if self._files is not None:
            self._files.remove()
        if self._is_own:
            self._ray.shutdown()

    def outcomes(
        self, function: Callable[[Item], Result], items: Mapping[str, Item], batch: Batch, claim: Claim
    ) -> Iterator[tuple[str, Result | Failure]]:
        """What becomes of each item, as they are done.

        The function, with all that is bound to it, goes once into Ray's object store, from where each process takes it
        once. Items go in bundles of ten seconds or more.

        Raises:
            UsageError: as raised by `function`, or a node lacks what it needs.
        """
        if self._files is None:
            self._connect()
        assert self._files is not None
        ray, sizes = self._ray, BundleSizes()
        job, common = Job(batch.stage, batch.limit_s, self._files, __version__), ray.put(function)
        claim = self._possible(claim)
        send = self._sender(claim, batch.stage, max_retries=_RETRIES)
        waiting, suspects = deque(items.items()), deque[tuple[str, Any]]()
        running: dict[Any, Bundle] = {}
        try:
            while waiting or suspects or running:
                num_slots = self._num_slots(claim)
                num_tasks = batch.workers or self._workers or 2 * num_slots
                while (waiting or suspects) and len(running) < num_tasks:
                    if suspects:
                        bundle = [suspects.popleft()]
                    else:
                        size = sizes.size(len(waiting), min(num_slots, num_tasks))
                        bundle = [waiting.popleft() for _ in range(size)]
                    running[send.remote(job, [common], bundle)] = bundle
                ready, _ = ray.wait(list(running), timeout=_LOOK_S)
                for task in ready:
                    bundle = running.pop(task)
                    report = self._report(task)
                    if report is not None:
                        if report.outcomes:
                            sizes.note(len(report.outcomes), report.seconds)
                        suspects.extend(report.left)
                        yield from report.outcomes
                    elif len(bundle) > 1:
                        suspects.extend(bundle)
                    else:
                        yield bundle[0][0], worker_died(bundle[0][0], batch.stage)
        finally:
            self._cancel([*running])

    def run_together(self, function: Callable[[int], Result], num: int, stage: str, claim: Claim) -> list[Result]:
        """Call `function` with the ranks from 0 in as many processes, which all run at the same time, on any nodes.

        Raises:
            BrokenProcessPool: one of them died, of what the message says; the others are ended.
            UsageError: the cluster has no room for all.
        """
        if self._files is None:
            self._connect()
        assert self._files is not None
        ray, claim = self._ray, self._possible(claim)
        num_slots = self._num_slots(claim)
        if num_slots < num:
            raise UsageError(f"{stage}: the Ray cluster has room for {num_slots} processes at a time, of {num}")
        room = {"CPU": claim.threads} | ({"GPU": claim.gpus} if claim.gpus else {})
        group = ray.util.placement_group([room] * num)
        job, common = Job(stage, None, self._files, __version__), ray.put(function)
        running = [
            self._sender(
                claim, stage, max_retries=0,
                scheduling_strategy=ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy(group, rank),
            ).remote(job, [common], [(f"{stage}, rank {rank}", rank)])
            for rank in range(num)
        ]  # fmt: skip
        results: dict[Any, Result] = {}
        try:
            while len(results) < num:
                ready, _ = ray.wait([task for task in running if task not in results], timeout=_LOOK_S)
                for task in ready:
                    report = self._report(task)
                    if report is None:
                        raise BrokenProcessPool("out of memory, or killed")
                    outcome: Any = report.outcomes[0][1]
                    if isinstance(outcome, Failure):
                        raise BrokenProcessPool(f"{outcome.error}: {outcome.message}")
                    results[task] = outcome
        finally:
            left = [task for task in running if task not in results]
            self._cancel(left)
            if left:
                ray.wait(left, num_returns=len(left), timeout=_LOOK_S)
            ray.util.remove_placement_group(group)
        return [results[task] for task in running]

    @property
    def num_gpus(self) -> int:
        """Graphics cards of all nodes."""
        if self._files is None:
            self._connect()
        return sum(int(node.get("GPU", 0)) for node in self._resources())

    def _sender(self, claim: Claim, stage: str, **options: Any) -> Any:
        return self._ray.remote(_work).options(
            num_cpus=claim.threads,
            num_gpus=claim.gpus,
            name=f"tilewise {stage}",
            runtime_env={"env_vars": _environment()},
            **options,
        )

    def _cancel(self, tasks: list[Any]) -> None:
        """End tasks; Ray aborts this process where the reply of one that is just ending meets its cancellation."""
        if not tasks:
            return
        _, left = self._ray.wait(tasks, num_returns=len(tasks), timeout=_ENDING_S)
        for task in left:
            with contextlib.suppress(Exception):
                self._ray.cancel(task, force=True)

    def _report(self, task: Any) -> Report | None:
        """What a task came to; None where it took its process down."""
        errors = self._ray.exceptions
        try:
            report: Report = pickle.loads(self._ray.get(task))  # noqa: S301 - written by `_work`, moved by Ray
        except errors.RuntimeEnvSetupError as error:
            raise UsageError(f"a node of the Ray cluster cannot start a worker ({error})") from error
        except errors.RayTaskError as error:
            # Ray's own RuntimeError says so of a function whose module it does not find.
            if isinstance(error.cause, ImportError) or "failed to import on the worker" in str(error.cause):
                raise UsageError(
                    f"a node of the Ray cluster cannot run tilewise ({error.cause}); install tilewise {__version__} on "
                    "all nodes"
                ) from error
            raise error.cause or error from error
        except errors.RayError as error:
            _log.info("a task on the Ray cluster is lost: %s", error)
            return None
        if report.refusal is not None:
            raise report.refusal
        return report

    def _connect(self) -> None:
        ray, address = self._ray, os.environ.get("RAY_ADDRESS", "")
        if not ray.is_initialized():
            if address.startswith("ray://"):
                raise UsageError(
                    f"RAY_ADDRESS={address}: start tilewise on a machine of the cluster, by `ray job submit`; paths of "
                    "this machine mean nothing there"
                )
            # Ray tells of accelerators, `uv` and versions to come; its own errors are raised.
            options: dict[str, Any] = {"address": address or "local", "logging_level": logging.ERROR}
            if not address:
                # Ray gives its workers the lowest claim to a processor but four; processes of ours have the usual one.
                os.environ.setdefault("RAY_worker_niceness", "0")
                options |= {"num_cpus": self._workers or num_processors(), "include_dashboard": False}
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    ray.init(log_to_driver=False, **options)
            except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
                place, advice = "Ray does not start here", ""
                if address:
                    place = f"RAY_ADDRESS={address}: no cluster lets this process in"
                    # Ray takes its token to an address that is given by nobody's wish but the user's.
                    advice = "one that asks for a token needs RAY_AUTH_MODE=token and its ~/.ray/auth_token here; "
                raise UsageError(
                    f"{place} ({error}); {advice}`ray status` tells more, --executor local needs none"
                ) from error
            self._is_own = True
            # What Ray says of nodes and workers that are gone goes to stdout, where results are.
            ray._private.worker._worker_logs_enabled = False  # noqa: SLF001
        self._files = SharedFiles.of(self._reads, self._writes)

    def _resources(self) -> list[dict[str, float]]:
        """Of each node that is alive, as of a few seconds ago."""
        now = time.monotonic()
        if self._nodes is None or now - self._nodes[0] > _LOOK_S:
            self._nodes = now, [dict(node["Resources"]) for node in self._ray.nodes() if node["Alive"]]
        return self._nodes[1]

    def _possible(self, claim: Claim) -> Claim:
        """No more processors than a node has: a task that no node can take would wait for ever."""
        nodes = self._resources()
        if claim.gpus and not any(node.get("GPU", 0) >= claim.gpus for node in nodes):
            raise UsageError(
                f"no node of the Ray cluster has {claim.gpus} graphics card(s), which this machine would compute on; "
                "start Ray with --num-gpus, or set training.engine.device=cpu and encoder.engine=openvino"
            )
        most = max((int(node.get("CPU", 0)) for node in nodes), default=0)
        return replace(claim, threads=max(1, min(claim.threads, most)))

    def _num_slots(self, claim: Claim) -> int:
        slots = 0
        for node in self._resources():
            own = int(node.get("CPU", 0)) // claim.threads
            slots += min(own, int(node.get("GPU", 0)) // claim.gpus) if claim.gpus else own
        return max(1, slots)


def node_address() -> str:
    """Where other nodes reach this one, in a worker process."""
    address: str = import_ray().util.get_node_ip_address()
    return address


def _environment() -> dict[str, str]:
    """What a worker computes by: the same threads, instructions, limits and cache as here."""
    own = {name: value for name, value in os.environ.items() if name.startswith("TILEWISE_") or name in _COMPUTING}
    return own | {"TILEWISE_CACHE": str(cache_dir().absolute()), "OMP_NUM_THREADS": str(default_threads())}


# Of a worker process: the function that it calls, by the name of the object that holds it.
_own_function: dict[str, Callable[[Any], Any]] = {}


def _work(job: Job, functions: list[Any], bundle: Bundle) -> bytes:
    """Work on a bundle, in a worker process; pickled, because arrays that Ray unpickles cannot be written to."""
    try:
        report = work_on(job, _find_function(job, functions[0]), bundle)
    except UsageError as error:
        report = Report(refusal=error)
    return pickle.dumps(report, protocol=5)


def _find_function(job: Job, reference: Any) -> Callable[[Any], Any]:
    import ray

    name = reference.hex()
    if name not in _own_function:
        import cv2

        cv2.setNumThreads(1)
        node = platform.node()
        if job.version != __version__:
            raise UsageError(
                f"node {node} of the Ray cluster has tilewise {__version__}, the run was started by {job.version}; "
                "install the same version on all nodes"
            )
        job.files.check(node)
        _own_function.clear()
        try:
            _own_function[name] = ray.get(reference)
        except ray.exceptions.RaySystemError as error:
            if isinstance(error.client_exc, UsageError):
                raise error.client_exc from error
            if isinstance(error.client_exc, ImportError):
                raise error.client_exc from error
            raise UsageError(
                f"node {node} of the Ray cluster cannot take up what it is to compute ({error.client_exc}); see "
                "whether it has the memory, graphics cards and packages of the machine that started the run"
            ) from error
    return _own_function[name]
