"""Fixtures every test may use, and the count of tests that real slides were missing for."""

from __future__ import annotations

import gc
import itertools
import multiprocessing
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# Time is measured in benchmarks; a busy machine must not fail a property. Examples are the same in every run.
settings.register_profile("tilewise", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("tilewise")

# An optimizer imports torch._dynamo, which takes as long as torch.
_PRELOADED = [
    "cv2",
    "pandas",
    "scipy.stats",
    "sklearn.linear_model",
    "torch",
    "torch._dynamo",
    "tilewise.pipeline.train",
]
# Of those that take more than ten seconds, the longest first.
_LONGEST = (
    "tuning/test_tune_cohort.py",
    "serving/review/test_browser.py",
    "api/test_examples.py",
    "cli/test_end_to_end.py",
    "pipeline/test_explain_features.py",
    "models/networks/test_inputs.py",
    "explain/test_grad_cam.py",
    "pipeline/test_imported_features.py",
    "interchange/test_damaged_h5.py",
    "pipeline/test_ladder_inputs.py",
    "soak/test_fuzz.py",
    "encoders/test_pretrained.py",
    "serving/prediction_api/test_limits.py",
)
_MISSING = "the real slides are not there; set TILEWISE_DATA to their folder"


def pytest_configure() -> None:
    """Before numpy and torch are imported: small tensors are fastest on one thread, above all beside other tests.

    Processes of pools are forks of one server, which imports for all of them.
    """
    os.environ["OMP_NUM_THREADS"] = "1"
    if "forkserver" in multiprocessing.get_all_start_methods():
        multiprocessing.get_context("forkserver").set_forkserver_preload(_PRELOADED)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files begin first, so that no process waits for another at the end."""
    place_of = {Path(__file__).parent / name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: place_of.get(item.path, len(place_of)))


def pytest_collection_finish() -> None:
    """Thousands of tests live until the end; the garbage collector need not look at them again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real slides; tests that need it are skipped, and counted, where it is absent."""
    folder = Path(os.environ.get("TILEWISE_DATA", "../shared/data")).resolve()
    if not folder.is_dir():
        pytest.skip(_MISSING)
    return folder


@pytest.fixture(autouse=True, scope="session")
def _caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iterator[Path]]:
    """No test reads or fills the user's cache; fixtures that many tests share fill the first of these folders."""
    folder = tmp_path_factory.mktemp("caches")
    caches = (folder / str(number) for number in itertools.count())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILEWISE_CACHE", str(next(caches)))
        yield caches


@pytest.fixture(autouse=True)
def _own_cache(request: pytest.FixtureRequest, _caches: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A test computes everything itself unless it is marked `shared_cache`; a cache is made by what fills it."""
    if "shared_cache" not in request.keywords:
        monkeypatch.setenv("TILEWISE_CACHE", str(next(_caches)))


@pytest.fixture(autouse=True)
def _one_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages work in this process unless a test asks for a pool: results do not depend on it, and pools take long."""
    if "pool" not in request.keywords:
        monkeypatch.setattr("tilewise.execution.num_processors", lambda: 1)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Say what ended a process of pytest-xdist that died: a negative status is the signal, -9 often want of memory."""
    if error:
        status = node.gateway._io.popen.wait(10)
        memory = Path("/proc/meminfo").read_text().splitlines()[:3] if Path("/proc/meminfo").exists() else []
        sys.stderr.write(f"\n{node.gateway.id} ended with status {status}; {'; '.join(memory)}\n")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """A function that makes a disk of so many kB, or gives the one that it made another size."""
    place = tmp_path / "disk"
    place.mkdir()

    def sized(kilobytes: int) -> Path:
        options = f"size={kilobytes}k" + (",remount" if place.is_mount() else "")
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True, check=False)
        if made.returncode:
            pytest.skip("only root may mount a small disk")
        return place

    if sys.platform != "linux" or shutil.which("mount") is None:
        pytest.skip("a small disk is mounted on Linux alone")
    yield sized
    if place.is_mount():
        subprocess.run(["umount", "-l", place], check=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say plainly how many tests on real slides did not run."""
    skipped = terminalreporter.stats.get("skipped", [])
    missing = sum(_MISSING in str(report.longrepr) for report in skipped)
    if missing:
        terminalreporter.write_line(f"{missing} tests on real slides were skipped: {_MISSING}", yellow=True)
