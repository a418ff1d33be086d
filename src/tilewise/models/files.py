"""The two files of a trained model, whatever it learnt from, and what is checked when they are read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from tilewise.errors import ArtifactError
from tilewise.models.config import AGGREGATORS, HeadConfig
from tilewise.store import read_tensors

WEIGHTS_NAME = "model.safetensors"
ABOUT_NAME = "model.json"
AGAIN = "train the run again"

Shapes = Mapping[str, tuple[int, ...]]


def read_weights(folder: Path, digest: object) -> dict[str, NDArray[Any]]:
    """The weights of a model, held to the digest that its description tells.

    Raises:
        ArtifactError: the file is missing, damaged or of another model.
    """
    return read_tensors(folder / WEIGHTS_NAME, digest, described_in=ABOUT_NAME, again=AGAIN)


def check_aggregator(folder: Path, aggregator: str, head: HeadConfig) -> None:
    """Hold a model's aggregator to its head.

    Raises:
        ArtifactError: it is unknown here, or not that of the head.
    """
    if aggregator not in AGGREGATORS and "." not in aggregator:
        raise ArtifactError(f"{folder / ABOUT_NAME}: unknown aggregator {aggregator!r}; update tilewise")
    if aggregator != head.aggregator:
        raise ArtifactError(
            f"{folder / ABOUT_NAME} is damaged: it asks for {aggregator} and {head.aggregator}; {AGAIN}"
        )


def check_shapes(folder: Path, *, shapes: Shapes, expected: Shapes) -> None:
    """Hold a model's weights to what its description promises.

    Raises:
        ArtifactError: they have other shapes.
    """
    wrong = [name for name in sorted(expected.keys() | shapes.keys()) if expected.get(name) != shapes.get(name)]
    if wrong:
        name = wrong[0]
        raise ArtifactError(
            f"{folder / WEIGHTS_NAME}: {name} has shape {shapes.get(name)}, {ABOUT_NAME} asks for "
            f"{expected.get(name)}; {AGAIN}"
        )
