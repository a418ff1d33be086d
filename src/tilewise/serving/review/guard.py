"""Who may ask the review page: only pages that it served itself, in a browser that came with the token."""

from __future__ import annotations

import hmac
from typing import Final
from urllib.parse import urlencode

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# The hash is that of the one style sheet that OpenSeadragon writes into the page.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; "
    "style-src 'self' 'sha256-9xTiqzfwFaL2SGb1rmr8gysEwVVjIvqWAgmZgqFqpEE='; "
    "img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    b"content-security-policy": POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
}
_MOST_BYTES: Final = 64_000
_NOT_INVITED: Final = "open the address that tilewise serve printed, with its token"


class SameOriginOnly:
    """Refuses requests that another page, or a name that was bound to this address, sends.

    A request must name this server as its host. What changes anything must come from its own page and hold JSON, which
    no form of another page can send; it may not be large. Other users of this machine reach the server as well: they
    lack the token, which the address of the page holds when it is first opened, and a cookie from then on. Browsers
    send that cookie to every port of the host, so a reviewer who opens a link to another user's server hands it over.

    Args:
        app: what is guarded.
        hosts: `HOST:PORT` that the server answers to.
        token: the secret; None lets all users of this machine in.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str], token: str | None) -> None:
        self._app = app
        self._hosts = hosts
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS.items()]
            await send(message)

        if refusal:
            await PlainTextResponse(refusal, status_code=403)(scope, receive, guarded)
            return
        answer = None if self._token is None else self._ask_for_token(scope, self._token)
        await (answer or self._app)(scope, receive, guarded)

    def _ask_for_token(self, scope: Scope, token: str) -> Response | None:
        """A refusal, or the way to the page whose address lacks the token; None for a browser that has the cookie."""
        connection = HTTPConnection(scope)
        cookie = f"tilewise-review-{scope['server'][1]}"
        if scope["path"] != "/" or not _equal(connection.query_params.get("token", ""), token):
            is_known = _equal(connection.cookies.get(cookie, ""), token)
            return None if is_known else PlainTextResponse(_NOT_INVITED, status_code=403)
        others = [(name, value) for name, value in connection.query_params.multi_items() if name != "token"]
        answer = RedirectResponse("/" + ("?" + urlencode(others) if others else ""), status_code=303)
        answer.headers["cache-control"] = "no-store"
        answer.set_cookie(cookie, token, httponly=True, samesite="lax")
        return answer

    def _refusal(self, scope: Scope) -> str:
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        if host not in self._hosts:
            return "this server answers to its own address only"
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
        if origin is not None and origin.lower() != f"http://{host}":
            return "another page asked"
        if scope["method"] in {"GET", "HEAD"}:
            return "another page asked" if site == "cross-site" and scope["path"] != "/" else ""
        if origin is None or headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return "only the page itself may change anything"
        length = headers.get("content-length", "")
        return "" if length.isdigit() and int(length) <= _MOST_BYTES else "too large, or of unknown length"


def _equal(presented: str, token: str) -> bool:
    """Compare in the same time for every wrong token of the same length."""
    return hmac.compare_digest(presented.encode(), token.encode())
