"""Who may ask: loopback without a token, everybody else only with one."""

from __future__ import annotations

import hmac
import ipaddress
import os
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from tilewise.errors import UsageError

TOKEN_VARIABLE: Final = "TILEWISE_TOKEN"  # noqa: S105 - the variable's name
_SHORTEST_TOKEN: Final = 16
_MAKE_ONE: Final = "python -c 'import secrets; print(secrets.token_urlsafe(32))'"


def read_token(path: Path | None) -> SecretStr | None:
    """The bearer token: the first line of a file, else `$TILEWISE_TOKEN`, else None.

    Raises:
        UsageError: the file cannot be read, or the token is short or has characters that no header may have.
    """
    if path is None:
        source, text = f"${TOKEN_VARIABLE}", os.environ.get(TOKEN_VARIABLE, "")
        if not text:
            return None
    else:
        source = f"--token-file {path}"
        try:
            text = path.read_text("utf-8").partition("\n")[0].strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"{source}: it cannot be read ({type(error).__name__}); give a file of one line"
            ) from error
    if len(text) < _SHORTEST_TOKEN or not (text.isascii() and text.isprintable()) or " " in text:
        raise UsageError(
            f"{source}: a token has {_SHORTEST_TOKEN} printable ASCII characters at least and no spaces; make one "
            f"with `{_MAKE_ONE}`"
        )
    return SecretStr(text)


def require_token_beyond_loopback(host: str, token: SecretStr | None) -> None:
    """Refuse to listen where other machines reach the service and nobody is asked for a token.

    Raises:
        UsageError: it would listen beyond the loopback address without a token.
    """
    if token is None and not is_loopback(host):
        raise UsageError(
            f"--host {host} listens beyond this machine, and there is no token; set ${TOKEN_VARIABLE} or --token-file "
            f"to one (`{_MAKE_ONE}`), or leave --host at 127.0.0.1"
        )


def is_loopback(host: str) -> bool:
    """Whether a host is this machine alone; names other than `localhost` are not resolved and count as not."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def is_authorised(header: str, token: SecretStr) -> bool:
    """Whether an `Authorization` header holds the token; takes as long for any wrong one of the same length."""
    scheme, _, presented = header.partition(" ")
    matches = hmac.compare_digest(presented.strip().encode(), token.get_secret_value().encode())
    return scheme.lower() == "bearer" and matches
