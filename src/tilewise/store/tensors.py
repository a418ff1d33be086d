"""Arrays as safetensors: with their digest in a description beside them, or in the file itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tilewise.errors import ArtifactError
from tilewise.store.atomic import write_bytes
from tilewise.store.checksummed import CHECKSUM_KEY, PLACEHOLDER, add_checksum, next_step, read_checksummed, read_file
from tilewise.store.digest import digest_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

_META_KEY = "tilewise"
Framework = Literal["numpy", "torch"]


def write_tensors(path: Path, tensors: Mapping[str, NDArray[Any]]) -> str:
    """Write contiguous arrays by name; returns the file's digest, for its description, which comes after it."""
    # safetensors brings NumPy, which the command line must not load in order to list encoders.
    from safetensors.numpy import save

    data = save(dict(tensors))
    write_bytes(path, data)
    return digest_bytes(data)


def read_tensors(
    path: Path, digest: object, *, described_in: str, again: str, framework: Framework = "numpy"
) -> dict[str, Any]:
    """Read what `write_tensors` wrote.

    Args:
        path: of the weights.
        digest: that the description tells.
        described_in: name of the description beside them.
        again: what a person does about a file that cannot be used.
        framework: whose arrays are given.

    Raises:
        ArtifactError: the file is missing, damaged or not the one that the description is of.
    """
    data = read_file(path, again=again)
    if digest_bytes(data) != digest:
        raise ArtifactError(f"{path} is not the file that {described_in} beside it describes; {again}")
    return _parsed(path, data, again, framework)


def write_checksummed_tensors(
    path: Path,
    tensors: Mapping[str, Any],
    description: Mapping[str, Any],
    *,
    framework: Framework = "numpy",
    durable: bool = True,
) -> None:
    """Write arrays by name with their description and digest in one file.

    Args:
        path: of the file.
        tensors: arrays of NumPy, or contiguous tensors of torch on the processor that share no memory.
        description: plain data.
        framework: whose arrays they are.
        durable: as in `atomic_path`.
    """
    # One key alone, since safetensors writes several in any order.
    header = {_META_KEY: json.dumps({CHECKSUM_KEY: PLACEHOLDER, **description})}
    data: bytes = import_module(f"safetensors.{framework}").save(_dense(tensors, framework), metadata=header)
    write_bytes(path, add_checksum(data), durable=durable)


def read_checksummed_tensors(
    path: Path, *, again: str | None = None, framework: Framework = "numpy"
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read the arrays and the description that `write_checksummed_tensors` wrote; arrays of NumPy may be read-only.

    Raises:
        ArtifactError: the file is missing, damaged or of something else.
    """
    data = read_checksummed(path, again=again)
    again = again or next_step(path)
    tensors = _parsed(path, data, again, framework)
    try:
        # The header is JSON, after its length in 8 bytes.
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        description: dict[str, Any] = json.loads(header["__metadata__"][_META_KEY])
    except (ValueError, LookupError, TypeError) as error:
        raise ArtifactError(f"{path} is not a file of tilewise ({error!r}); {again}") from error
    return tensors, description


def _dense(tensors: Mapping[str, Any], framework: Framework) -> dict[str, Any]:
    if framework == "torch":
        return dict(tensors)
    import numpy as np

    # safetensors would write the memory of a view as it lies.
    return {name: np.asarray(array, order="C") for name, array in tensors.items()}


def _parsed(path: Path, data: bytes, again: str, framework: Framework) -> dict[str, Any]:
    from safetensors import SafetensorError

    try:
        return dict(import_module(f"safetensors.{framework}").load(data))
    except SafetensorError as error:
        raise ArtifactError(f"{path} is damaged ({error}); {again}") from error
