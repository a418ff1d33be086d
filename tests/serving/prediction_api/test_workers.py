"""Processes that predict: what kills one is an answer, and the next request finds another."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from tests.serving.prediction_api.fake_worker import run_fake_worker
from tilewise.errors import UsageError
from tilewise.serving.prediction_api import workers as module
from tilewise.serving.prediction_api.config import ServiceConfig
from tilewise.serving.prediction_api.errors import ServiceError
from tilewise.serving.prediction_api.workers import Workers


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(module, "run_worker", run_fake_worker)


def ask(workers, name, **options):
    return asyncio.run(workers.predict(Path("/nowhere") / name, has_mask=False, with_map=False, **options))


def code_of(workers, name):
    with pytest.raises(ServiceError) as caught:
        ask(workers, name)
    return caught.value.status, caught.value.code


def test_a_request_that_kills_its_process_is_answered_and_the_next_one_too(fake):
    config = ServiceConfig(predict_seconds=60, memory_megabytes=500)
    with Workers(Path("run"), config) as workers:
        first = ask(workers, "good").prediction["pid"]
        assert workers.is_ready
        assert ask(workers, "good").prediction["pid"] == first
        assert code_of(workers, "crash") == (422, "image-crashes-decoder")
        assert ask(workers, "good").prediction["pid"] != first
        assert code_of(workers, "greedy") == (422, "image-needs-too-much-memory")
        assert code_of(workers, "bug") == (500, "internal")
        assert ask(workers, "good").picture is None
        assert (workers.num_waiting, workers.num_predicting) == (0, 0)
        assert workers.resident_bytes > 1e6


def test_a_process_that_is_killed_between_requests_is_replaced_unnoticed(fake):
    with Workers(Path("run"), ServiceConfig(predict_seconds=60)) as workers:
        first = ask(workers, "good").prediction["pid"]
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: not workers.is_ready)
        assert ask(workers, "good").prediction["pid"] != first


def test_the_service_is_ready_again_without_a_further_request(fake):
    with Workers(Path("run"), ServiceConfig(predict_seconds=60)) as workers:
        assert code_of(workers, "crash") == (422, "image-crashes-decoder")
        wait_for(lambda: workers.is_ready)


def wait_for(is_so):
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_prediction_that_takes_too_long_is_ended(fake):
    with Workers(Path("run"), ServiceConfig(predict_seconds=0.5)) as workers:
        start = time.monotonic()
        assert code_of(workers, "slow") == (504, "took-too-long")
        assert time.monotonic() - start < 60


def test_who_waits_too_long_for_a_worker_is_sent_away(fake):
    async def scenario(workers):
        slow = asyncio.create_task(workers.predict(Path("/slow"), has_mask=False, with_map=False))
        await asyncio.sleep(0.1)
        with pytest.raises(ServiceError) as caught:
            await workers.predict(Path("/good"), has_mask=False, with_map=False)
        assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "5"})
        assert (workers.num_waiting, workers.num_predicting) == (0, 1)
        with pytest.raises(ServiceError):
            await slow

    with Workers(Path("run"), ServiceConfig(predict_seconds=5, wait_seconds=0.2)) as workers:
        asyncio.run(scenario(workers))


def test_a_map_comes_with_the_answer(fake):
    with Workers(Path("run"), ServiceConfig()) as workers:
        answer = asyncio.run(workers.predict(Path("/good"), has_mask=True, with_map=True))
        assert (answer.prediction["mask"], answer.picture) == ("mask", b"picture")


def test_a_run_that_cannot_be_loaded_says_why(tmp_path):
    with pytest.raises(UsageError, match="holds no run"), Workers(tmp_path, ServiceConfig()):
        pass
