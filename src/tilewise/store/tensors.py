"""Weights as safetensors, held to the digest that a description beside them tells."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tilewise.errors import ArtifactError
from tilewise.store.atomic import write_bytes
from tilewise.store.digest import digest_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray


def write_tensors(path: Path, tensors: Mapping[str, NDArray[Any]]) -> str:
    """Write contiguous arrays by name; returns the file's digest, for its description, which comes after it."""
    # safetensors brings NumPy, which the command line must not load in order to list encoders.
    from safetensors.numpy import save

    data = save(dict(tensors))
    write_bytes(path, data)
    return digest_bytes(data)


def read_tensors(path: Path, digest: object, *, about: str, again: str) -> dict[str, NDArray[Any]]:
    """Read what `write_tensors` wrote.

    Args:
        path: of the weights.
        digest: that the description tells.
        about: name of the description beside them.
        again: what a person does about a file that cannot be used.

    Raises:
        ArtifactError: the file is missing, damaged or not the one that the description is of.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        data = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error}); {again}") from error
    if digest_bytes(data) != digest:
        raise ArtifactError(f"{path} is not the file that {about} beside it describes; {again}")
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise ArtifactError(f"{path} is damaged ({error}); {again}") from error
    return dict(tensors)
