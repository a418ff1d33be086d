"""JSON and Parquet files that carry schema, version, origin and the digest of their own bytes."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tilewise.errors import ArtifactError
from tilewise.store.atomic import write_bytes
from tilewise.store.checksummed import CHECKSUM_KEY, PLACEHOLDER, add_checksum, next_step, read_checksummed

if TYPE_CHECKING:
    import pandas as pd

_META_KEY = b"tilewise"


def write_json(path: Path, payload: Mapping[str, Any], *, schema: str, version: int, durable: bool = True) -> None:
    """Write `payload` with its schema's name and version. The same payload gives the same bytes; NaN becomes null."""
    head = _head(schema, version)
    clash = head.keys() & payload.keys()
    if clash:
        raise ValueError(f"payload of {path.name} uses reserved keys {sorted(clash)}")
    text = json.dumps(head | finite(dict(payload)), indent=1, allow_nan=False) + "\n"
    write_bytes(path, add_checksum(text.encode()), durable=durable)


def read_json(path: Path, *, schema: str, version: int) -> dict[str, Any]:
    """Read what `write_json` wrote.

    Raises:
        ArtifactError: the file is missing or damaged, is not JSON, or has another schema or a newer version.
    """
    try:
        data = json.loads(read_checksummed(path, or_plain=True).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} is damaged ({error}); {next_step(path)}") from error
    if not isinstance(data, dict):
        raise ArtifactError(f"{path} is not a {schema} file; {next_step(path)}")
    _check(path, data, schema, version)
    return data


def write_table(
    path: Path, frame: pd.DataFrame, *, schema: str, version: int, metadata: Mapping[str, Any] | None = None
) -> None:
    """Write a data frame as Parquet, with schema, version and `metadata` in the file's own metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    head = {**_head(schema, version), **(metadata or {})}
    table = pa.Table.from_pandas(frame, preserve_index=False)
    table = table.replace_schema_metadata({_META_KEY: json.dumps(finite(head), sort_keys=True).encode()})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    write_bytes(path, add_checksum(buffer.getvalue()))


def read_table(path: Path, *, schema: str, version: int) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read what `write_table` wrote: the frame and its metadata.

    Raises:
        ArtifactError: the file is missing, damaged, or has another schema or a newer version.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(read_checksummed(path)))
        head = json.loads((table.schema.metadata or {}).get(_META_KEY, b"{}"))
    except (OSError, pa.ArrowException, ValueError) as error:
        raise ArtifactError(f"{path} is damaged ({error}); {next_step(path)}") from error
    _check(path, head, schema, version)
    return table.to_pandas(), head


def finite(value: Any) -> Any:
    """The same data with NaN and infinities as None, so that the JSON is valid for every reader."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # a NumPy scalar
        return finite(value.item())
    return value


def _head(schema: str, version: int) -> dict[str, Any]:
    from tilewise.version import __version__

    return {CHECKSUM_KEY: PLACEHOLDER, "schema": schema, "schema_version": version, "tilewise_version": __version__}


def _check(path: Path, head: Mapping[str, Any], schema: str, version: int) -> None:
    file_schema, file_version = head.get("schema"), head.get("schema_version")
    if file_schema != schema:
        raise ArtifactError(f"{path} holds {file_schema!r}, not {schema!r}; give the right file or delete this one")
    if not isinstance(file_version, int) or file_version > version:
        raise ArtifactError(
            f"{path} has version {file_version} of {schema!r}, this tilewise reads up to {version}; update tilewise"
        )
