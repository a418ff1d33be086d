"""What every request passes before its body is read, without a network: the gate is asked directly."""

import asyncio
import json

import pytest
from pydantic import SecretStr

from tilewise.serving.prediction_api.config import ServiceConfig
from tilewise.serving.prediction_api.gate import Gate
from tilewise.serving.prediction_api.metrics import ServiceMetrics

LOCAL = {"host": "127.0.0.1:8000"}
TOKEN = SecretStr("a-token-of-many-characters")


async def echo(scope, receive, send):
    """An application that reads the whole body and answers with its length."""
    num_bytes, more = 0, scope["method"] == "POST"
    while more:
        message = await receive()
        num_bytes, more = num_bytes + len(message["body"]), message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(num_bytes).encode()})


class Asked:
    """One request to a gate, and what came of it."""

    def __init__(self, gate, path="/v1/predict", *, method="POST", headers=LOCAL, body=()):
        self.gate = gate
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        self.scope = {"type": "http", "method": method, "path": path, "headers": raw}
        self.body = list(body)
        self.messages = []
        self.num_sent_before = []  # for each part that was asked for

    async def run(self):
        async def receive():
            part = self.body.pop(0) if self.body else b""
            self.num_sent_before.append(len(self.messages))
            return {"type": "http.request", "body": part, "more_body": bool(self.body)}

        async def send(message):
            self.messages.append(message)

        await self.gate(self.scope, receive, send)
        return self

    @property
    def status(self):
        return self.messages[0]["status"]

    @property
    def headers(self):
        return dict(self.messages[0]["headers"])

    @property
    def code(self):
        return json.loads(self.messages[1]["body"])["code"]


def gate_of(token=None, app=echo, **limits):
    return Gate(app, ServiceConfig(**limits), token, ServiceMetrics())


def ask(gate, *args, **kwargs):
    return asyncio.run(Asked(gate, *args, **kwargs).run())


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/model", "/metrics", "/openapi.json", "/v1/maps/x", "/nowhere"])
def test_with_a_token_nothing_is_told_without_it(path):
    gate = gate_of(TOKEN)
    asked = ask(gate, path, method="GET", headers={"host": "far.example"})
    assert (asked.status, asked.code) == (401, "not-authorised")
    assert asked.headers[b"www-authenticate"] == b"Bearer"
    right = {"host": "far.example", "authorization": f"Bearer {TOKEN.get_secret_value()}"}
    assert ask(gate, path, method="GET", headers=right).status == 200
    assert ask(gate, "/healthz", method="GET", headers={}).status == 200


def test_the_answer_comes_before_the_body_is_read_without_a_token():
    asked = Asked(gate_of(TOKEN), body=[b"x"] * 3)
    asyncio.run(asked.run())
    assert asked.status == 401
    assert min(asked.num_sent_before) == 2  # what follows is let go of, so that the client reads the answer


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "localhost:8000"}, 200),
        ({"host": "[::1]:8000"}, 200),
        ({"host": "127.0.0.1", "origin": "http://localhost:3000"}, 200),
        ({"host": "rebound.example"}, 403),
        ({"host": "127.0.0.1.rebound.example"}, 403),
        ({"host": "127.0.0.1@rebound.example"}, 403),
        ({"host": "[::1"}, 403),
        ({}, 403),
        ({"host": "127.0.0.1", "origin": "https://page.example"}, 403),
        ({"host": "127.0.0.1", "origin": "null"}, 403),
    ],
)
def test_without_a_token_other_sites_cannot_ask_through_a_browser(headers, status):
    assert ask(gate_of(), headers=headers, body=[b"x"]).status == status


def test_a_body_that_says_it_is_too_long_is_refused_unread():
    asked = Asked(gate_of(max_megabytes=1), headers=LOCAL | {"content-length": "1000001"}, body=[b"x"])
    asyncio.run(asked.run())
    assert (asked.status, asked.code, min(asked.num_sent_before)) == (413, "body-too-large", 2)


def test_a_body_that_does_not_say_its_length_is_counted():
    from tilewise.serving.prediction_api.errors import ServiceError

    parts = [b"x" * 250_000] * 4
    assert ask(gate_of(max_megabytes=1), body=parts).messages[1]["body"] == b"1000000"
    with pytest.raises(ServiceError) as caught:
        ask(gate_of(max_megabytes=1), body=[*parts, b"x", b"never read"])
    assert (caught.value.status, caught.value.headers["Connection"]) == (413, "close")


def test_a_body_that_arrives_too_slowly_is_given_up():
    from tilewise.serving.prediction_api.errors import ServiceError

    gate = gate_of(upload_seconds=0.05)

    async def stalls():
        asked = Asked(gate)
        asked.body = [b"x", None]

        async def receive_forever(*_):
            await asyncio.sleep(3600)

        parts = iter([{"type": "http.request", "body": b"x", "more_body": True}])

        async def receive():
            return next(parts, None) or await receive_forever()

        await gate(asked.scope, receive, asked.messages.append)

    with pytest.raises(ServiceError) as caught:
        asyncio.run(stalls())
    assert caught.value.status == 408
    assert gate.num_uploads == 0


def test_too_many_at_once_are_told_when_to_come_back():
    async def scenario():
        finish = asyncio.Event()

        async def waits(scope, receive, send):
            await finish.wait()
            await echo(scope, receive, send)

        gate = gate_of(app=waits, max_requests=2)
        first = [asyncio.create_task(Asked(gate, body=[b"x"]).run()) for _ in range(2)]
        await asyncio.sleep(0)
        third = await Asked(gate, body=[b"x"]).run()
        assert (third.status, third.code) == (503, "busy")
        assert int(third.headers[b"retry-after"]) > 0
        finish.set()
        assert [asked.status for asked in await asyncio.gather(*first)] == [200, 200]
        assert (await Asked(gate, body=[b"x"]).run()).status == 200  # their places are free again

    asyncio.run(scenario())


def test_answers_are_not_cached_sniffed_or_framed():
    headers = ask(gate_of(), body=[b"x"]).headers
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert b"default-src 'none'" in headers[b"content-security-policy"]
