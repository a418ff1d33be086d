"""Content digests: what makes two inputs or two configs the same."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

_CHUNK = 1 << 20


def digest_bytes(*parts: bytes | memoryview) -> str:
    """BLAKE2b-160 of the bytes, one part after the other, as 40 hex digits."""
    state = hashlib.blake2b(digest_size=20)
    for part in parts:
        state.update(part)
    return state.hexdigest()


def digest_file(path: Path) -> str:
    """BLAKE2b-160 of a file's bytes, read in chunks of 1 MiB."""
    state = hashlib.blake2b(digest_size=20)
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            state.update(chunk)
    return state.hexdigest()


def digest_config(value: Any) -> str:
    """Digest of a pydantic model or of plain JSON data; keys in any order give the same digest.

    The *whole* model counts, so that a field added later can never be forgotten in a cache key.
    """
    dump = getattr(value, "model_dump", None)
    plain = dump(mode="json") if dump is not None else value
    return digest_bytes(json.dumps(plain, sort_keys=True, separators=(",", ":"), default=_plain).encode())


def _plain(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json")
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"cannot digest a {type(value).__name__}")
