import contextlib
import csv
import os
import signal
import subprocess
import sys
import time

import pytest

from tilewise.errors import SlideUnreadable, UsageError
from tilewise.execution import Failure, run_each, show_progress, slide_time_limit, write_failures


def square(value):
    if value == 3:
        raise SlideUnreadable("three.png: truncated; fetch it again")
    return value * value


def die_on_two(value):
    if value == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return value


def wrong_use(value):
    raise UsageError(f"not like this: {value}")


@pytest.mark.parametrize("workers", [1, 2])
def test_results_and_failures_stand_in_the_order_of_the_items(workers):
    items = {str(value): value for value in (5, 3, 1, 4)}
    outcome = run_each(square, items, stage="squares", workers=workers)
    assert list(outcome.results.items()) == [("5", 25), ("1", 1), ("4", 16)]
    assert outcome.failures == (Failure("3", "squares", "SlideUnreadable", "three.png: truncated; fetch it again"),)


def process_of(_):
    return os.getpid()


@pytest.mark.parametrize("workers", [1, 2])
def test_one_item_that_is_isolated_is_worked_on_in_another_process(workers):
    for isolate in (False, True):
        outcome = run_each(process_of, {"a": 1}, stage="s", workers=workers, isolate=isolate)
        assert (outcome.results["a"] == os.getpid()) is not isolate


def test_a_worker_that_dies_takes_only_its_own_item_with_it():
    items = {f"slide-{value}": value for value in range(8)}
    outcome = run_each(die_on_two, items, stage="read", workers=2)
    assert sorted(outcome.results) == [f"slide-{value}" for value in (0, 1, 3, 4, 5, 6, 7)]
    (failure,) = outcome.failures
    assert failure.item == "slide-2"
    assert "slide-2" in failure.message
    assert "died" in failure.message


@pytest.mark.parametrize("workers", [1, 2])
def test_wrong_use_stops_the_batch(workers):
    with pytest.raises(UsageError, match="not like this"):
        run_each(wrong_use, {"a": 1, "b": 2}, stage="s", workers=workers)


@pytest.mark.parametrize("workers", [0, -1])
def test_a_number_of_processes_below_1_is_refused(workers):
    with pytest.raises(UsageError, match=f"workers={workers}: give 1 or more"):
        run_each(wrong_use, {"a": 1}, stage="s", workers=workers)


@pytest.mark.parametrize("piped", [True, False])
def test_a_script_without_a_main_guard_runs_once_and_works_in_processes(tmp_path, piped):
    script = (
        "from tilewise.execution import run_each\n"
        "print('started')\n"
        "from math import sqrt\n"
        "print(run_each(sqrt, {'a': 4, 'b': 9}, stage='roots', workers=2).results)\n"
    )
    path = tmp_path / "script.py"
    path.write_text(script)
    command = [sys.executable, "-"] if piped else [sys.executable, str(path)]
    process = subprocess.run(command, input=script, capture_output=True, text=True, check=True)
    assert process.stdout == "started\n{'a': 2.0, 'b': 3.0}\n"
    assert process.stderr == ""


def test_workers_begin_with_a_module_that_was_imported_ahead_and_compute_as_ever():
    script = (
        "import numpy as np\n"
        "from tilewise.execution import WorkerPool, preload_workers\n"
        "preload_workers('tilewise.pipeline.train')\n"
        "with WorkerPool(2) as pool:\n"
        '    print(pool.submit(eval, \'"tilewise.pipeline.train" in __import__("sys").modules\').result())\n'
        "    ones = np.ones((600, 600))\n"
        "    print(pool.submit(np.dot, ones, ones).result().sum())\n"
        "    import torch\n"
        "    print(pool.submit(torch.mm, torch.ones(600, 600), torch.ones(600, 600)).result().sum().item())\n"
    )
    # As a user has it: libraries take every processor.
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    command = [sys.executable, "-c", script]
    process = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, timeout=300)
    assert process.stdout == "True\n216000000.0\n216000000.0\n"
    assert process.stderr == ""


def test_a_main_process_that_is_killed_leaves_no_worker_behind():
    script = (
        "import os, time\n"
        "from tilewise.execution import WorkerPool\n"
        "pool = WorkerPool(2)\n"
        "print(pool.submit(os.getpid).result(), flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as main:
        worker = int(main.stdout.readline())
        assert is_alive(worker)
        main.kill()
    deadline = time.monotonic() + 30
    while is_alive(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(worker)


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_nothing_to_do_is_nothing_done():
    assert run_each(square, {}, stage="s").results == {}


def test_progress_counts_every_item_failed_ones_too():
    events = []

    class Counting:
        @contextlib.contextmanager
        def task(self, description, total):
            events.append((description, total))
            yield self

        def advance(self, steps=1):
            events.append(steps)

    with show_progress(Counting()):
        run_each(square, {str(value): value for value in range(4)}, stage="s", workers=1)
    assert events == [("s", 4), 1, 1, 1, 1]


def test_failures_csv_is_written_and_a_stale_one_goes(tmp_path):
    path = tmp_path / "failures.csv"
    write_failures(path, (Failure("a,b.png", "read", "SlideUnreadable", 'said "no"'),))
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows == [{"item": "a,b.png", "stage": "read", "error": "SlideUnreadable", "message": 'said "no"'}]
    write_failures(path, ())
    assert not path.exists()


def hang_on_two(value):
    if value == 2:
        time.sleep(600)
    return value


@pytest.mark.parametrize("workers", [1, 2])
def test_an_item_that_hangs_is_named_and_the_others_go_on(workers):
    items = {f"slide-{value}": value for value in range(5)}
    outcome = run_each(hang_on_two, items, stage="read", workers=workers, limit_s=2)
    assert sorted(outcome.results) == [f"slide-{value}" for value in (0, 1, 3, 4)]
    (failure,) = outcome.failures
    assert (failure.item, failure.error) == ("slide-2", "SlideTimeout")
    assert "slide-2: stopped after 2 s" in failure.message
    assert "TILEWISE_SLIDE_TIMEOUT" in failure.message


def test_what_worked_beside_an_item_that_hangs_is_done_all_the_same():
    items = {f"slide-{value}": value for value in (2, 3)}
    outcome = run_each(hang_or_take_long, items, stage="read", workers=2, limit_s=4)
    assert outcome.results == {"slide-3": 3}
    assert [failure.item for failure in outcome.failures] == ["slide-2"]


def hang_or_take_long(value):
    time.sleep(600 if value == 2 else 2)
    return value


@pytest.mark.parametrize(("text", "seconds"), [("", 3600.0), ("0", None), ("12.5", 12.5)])
def test_the_limit_is_that_of_the_environment(text, seconds, monkeypatch):
    monkeypatch.setenv("TILEWISE_SLIDE_TIMEOUT", text)
    assert slide_time_limit() == seconds


def test_a_limit_that_is_no_number_is_refused(monkeypatch):
    monkeypatch.setenv("TILEWISE_SLIDE_TIMEOUT", "soon")
    with pytest.raises(UsageError, match="TILEWISE_SLIDE_TIMEOUT=soon"):
        slide_time_limit()


@pytest.mark.pool
def test_workers_started_as_macos_and_windows_start_them_give_the_same(monkeypatch, tmp_path):
    (tmp_path / "added.py").write_text("def double(number):\n    return 2 * number\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("multiprocessing.get_all_start_methods", lambda: ["spawn"])
    from added import double

    outcome = run_each(double, {"a": 1, "b": 2}, stage="test", workers=2)
    assert dict(outcome.results) == {"a": 2, "b": 4}


def die_or_hang(value):
    time.sleep(value / 2)
    if value == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if value == 2:
        time.sleep(600)
    return value


def test_an_item_that_hangs_while_another_one_dies_is_stopped_too():
    items = {"dies": 1, "hangs": 2, "works": 3}
    outcome = run_each(die_or_hang, items, stage="read", workers=3, limit_s=4)
    assert outcome.results == {"works": 3}
    assert [(failure.item, failure.error) for failure in outcome.failures] == [
        ("dies", "WorkerDied"),
        ("hangs", "SlideTimeout"),
    ]
