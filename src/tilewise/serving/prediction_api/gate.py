"""What every request passes before a byte of its body is read: who asks, how much, how slowly, and how many at once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tilewise.serving.prediction_api.access import is_authorised, is_loopback
from tilewise.serving.prediction_api.config import ServiceConfig
from tilewise.serving.prediction_api.errors import ServiceError, busy
from tilewise.serving.prediction_api.metrics import ServiceMetrics

#: Asked by what watches the service, which holds no token.
OPEN_PATHS: Final = frozenset({"/healthz", "/readyz"})
_DRAIN_SECONDS: Final = 2.0
_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)


class Gate:
    """ASGI middleware around the whole application.

    Args:
        app: the application.
        config: limits.
        token: that requests must bring; None where the service listens to this machine alone.
        metrics: where requests are counted.
    """

    def __init__(self, app: ASGIApp, config: ServiceConfig, token: SecretStr | None, metrics: ServiceMetrics) -> None:
        self._app = app
        self._config = config
        self._token = token
        self._metrics = metrics
        self._max_bytes = config.max_megabytes * 1_000_000
        self.num_uploads = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, count it, and add headers of safety to the answer."""
        if scope["type"] != "http":
            return
        start, status = time.monotonic(), 500

        async def send_safely(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *_HEADERS]}
            await send(message)

        try:
            await self._admit(scope, receive, send_safely)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.count_request(route, status, time.monotonic() - start)

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        try:
            self._check_asker(scope["path"], headers)
            if scope["method"] == "POST":
                self._check_length(headers)
                if self.num_uploads >= self._config.max_requests:
                    raise busy(f"{self._config.max_requests} requests are here already")
        except ServiceError as error:
            await _send_error(error, receive, send)
            return
        is_upload = scope["method"] == "POST"
        self.num_uploads += is_upload
        try:
            await self._app(scope, self._limited(receive), send)
        finally:
            self.num_uploads -= is_upload

    def _check_asker(self, path: str, headers: Headers) -> None:
        if path in OPEN_PATHS:
            return
        if self._token is not None:
            if not is_authorised(headers.get("authorization", ""), self._token):
                raise ServiceError(
                    401,
                    "not-authorised",
                    "the token is missing or wrong",
                    "send the header Authorization: Bearer TOKEN",
                    {"WWW-Authenticate": "Bearer"},
                )
            return
        # Without a token, pages that a browser shows here must not ask in their reader's name, nor by another name.
        asked = {"host": f"//{headers.get('host', '')}", "origin": headers.get("origin", "//localhost")}
        for name, address in asked.items():
            if not _is_loopback_address(address):
                raise ServiceError(
                    403,
                    "foreign-site",
                    f"the request's {name} is not this machine, and the service asks for no token",
                    "ask by http://127.0.0.1 or localhost, or start the service with a token",
                )

    def _check_length(self, headers: Headers) -> None:
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._max_bytes:
            raise self._too_long()

    def _too_long(self) -> ServiceError:
        return ServiceError(
            413,
            "body-too-large",
            f"the body has more than {self._config.max_megabytes} megabytes",
            "send smaller images or fewer, or start the service with a larger --max-megabytes",
            {"Connection": "close"},
        )

    def _limited(self, receive: Receive) -> Receive:
        """The body as it arrives, as long as it is neither too long nor too slow."""
        deadline = asyncio.get_running_loop().time() + self._config.upload_seconds
        num_bytes, is_whole = 0, False

        async def receive_limited() -> Message:
            nonlocal num_bytes, is_whole
            if is_whole:
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError as error:
                raise ServiceError(
                    408,
                    "upload-too-slow",
                    f"the body did not arrive within {self._config.upload_seconds:g} seconds",
                    "send it faster, or start the service with a larger --upload-seconds",
                    {"Connection": "close"},
                ) from error
            num_bytes += len(message.get("body", b""))
            is_whole = not message.get("more_body", False)
            if num_bytes > self._max_bytes:
                if not is_whole:
                    await _drain(receive)
                raise self._too_long()
            return message

        return receive_limited


def _is_loopback_address(address: str) -> bool:
    try:
        return is_loopback(urlsplit(address).hostname or "")
    except ValueError:
        return False


async def _send_error(error: ServiceError, receive: Receive, send: Send) -> None:
    """Answer before the application is asked; the connection ends."""
    body = json.dumps(error.body.model_dump()).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close"}
    raw = [(name.lower().encode(), value.encode()) for name, value in (headers | dict(error.headers)).items()]
    await send({"type": "http.response.start", "status": error.status, "headers": raw})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    await _drain(receive)
    await send({"type": "http.response.body", "body": b""})


async def _drain(receive: Receive) -> None:
    """Let a client send for a moment: one that still sends when the connection closes does not read the answer."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            while (await receive()).get("more_body", False):
                pass
