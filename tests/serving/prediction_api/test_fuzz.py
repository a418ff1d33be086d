"""Damaged uploads of every format: each is predicted or refused with a 4xx, and memory does not grow."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.serving.prediction_api.conftest import serve
from tests.soak.damage import damaged, masks, pictures

pytestmark = [pytest.mark.enable_socket, pytest.mark.shared_cache]

_BATCH = 8
_HOW = settings(
    derandomize=True, deadline=None, database=None, phases=(Phase.generate,), suppress_health_check=list(HealthCheck)
)  # fmt: skip
_ALLOWED = {200, 413, 422}


def memory(client):
    """Resident bytes of the service and of its workers."""
    values = dict(line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines() if line[:1] != "#")
    return sum(float(values[name]) for name in ("process_resident_memory_bytes", "tilewise_workers_resident_bytes"))


def fuzz(client, num_uploads):
    """Send damaged images, one by one with a mask and in batches; resident bytes after a fifth, and at the end."""
    statuses = dict.fromkeys(sorted(_ALLOWED), 0)
    sizes = []
    images, regions = damaged(pictures()), damaged(masks())

    @settings(_HOW, max_examples=-(-num_uploads // (_BATCH + 1)))
    @given(images, regions, st.lists(images, min_size=_BATCH, max_size=_BATCH))
    def send(image, region, batch):
        one = client.post("/v1/predict", files={"image": image[1], "mask": region[1]})
        many = client.post("/v1/predict/batch", files=[("images", data) for _, data in batch])
        assert many.status_code == 200, many.text
        answers = [(one.status_code, one.json()), *((item["status"], item["error"]) for item in many.json()["results"])]
        for (name, _), (status, body) in zip([image, *batch], answers, strict=True):
            assert status in _ALLOWED, (name, body)
            statuses[status] += 1
            if status != 200:
                assert body["code"].startswith(("image", "mask", "no-tiles", "not-predicted")), (name, body)
                assert "/tmp/" not in body["message"], body
        if sum(statuses.values()) == -(-num_uploads // (_BATCH + 1)) // 5 * (_BATCH + 1):
            sizes.append(memory(client))

    send()
    sizes.append(memory(client))
    return statuses, sizes


def test_damaged_uploads_are_predicted_or_refused(home):
    with serve(home / "run", "--max-batch", "8") as server, server.client() as client:
        statuses, _ = fuzz(client, 270)
        assert statuses[200] > 10
        assert statuses[422] > 100
        assert client.get("/readyz").status_code == 200


@pytest.mark.soak
def test_ten_thousand_damaged_uploads_leave_memory_as_it_was(home):
    with serve(home / "run", "--max-batch", "8") as server, server.client() as client:
        _, (early, late) = fuzz(client, 10_000)
        assert late < early * 1.1
        assert client.get("/readyz").status_code == 200
