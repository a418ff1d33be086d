"""A slide's stain: colours and amounts of its two dyes, colour of its tissue, level of its glass."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tilewise.errors import ArtifactError
from tilewise.store import digest_config, read_json, write_json

_SCHEMA = "tilewise.stain-profile"
_VERSION = 1
Triple = tuple[float, float, float]


@dataclass(frozen=True)
class StainProfile:
    """What normalisation needs to know of a slide, or of what slides are brought to.

    Attributes:
        method: how the dyes' colours were found; Reinhard's profile holds Macenko's, to judge whether it is H&E at all.
        stain_matrix: unit vectors of natural optical density, red, green, blue; first haematoxylin, then eosin.
            All zero where there were too few stained pixels.
        concentrations: 99th percentile over the tissue of each dye's amount, in the unit of `stain_matrix`.
        lab_mean, lab_std: of the tissue's CIE L*a*b* (sRGB, D65).
        glass: grey level of empty glass, red, green, blue.
        num_pixels: stained pixels the dyes were fitted to.
        off_plane: spread of the densities off their plane, as a share of the smaller spread in it.
    """

    method: Literal["macenko", "vahadane"]
    stain_matrix: tuple[Triple, Triple]
    concentrations: tuple[float, float]
    lab_mean: Triple
    lab_std: Triple
    glass: Triple
    num_pixels: int
    off_plane: float

    @property
    def matrix(self) -> npt.NDArray[np.float64]:
        """`stain_matrix` as an array (2, 3)."""
        return np.array(self.stain_matrix)

    @property
    def angle(self) -> float:
        """Degrees between the two dyes."""
        return angle_between(*self.stain_matrix)

    @property
    def digest(self) -> str:
        """The same for equal profiles, another for any other."""
        return digest_config(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """The profile as plain data."""
        return asdict(self)

    def write(self, path: Path, *, durable: bool = True) -> None:
        """Write the profile as JSON, to be a target by its path; `durable` as in `atomic_path`."""
        write_json(path, self.to_json(), schema=_SCHEMA, version=_VERSION, durable=durable)

    @classmethod
    def read(cls, path: Path) -> StainProfile:
        """Read what `write` wrote.

        Raises:
            ArtifactError: the file is missing, damaged, or no stain profile.
        """
        data = read_json(path, schema=_SCHEMA, version=_VERSION)
        try:
            return cls.from_json(data)
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"{path} is damaged ({error!r}); write the profile again") from error

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> StainProfile:
        """The profile that `to_json` gave.

        Raises:
            KeyError, TypeError, ValueError: something is missing, or is not what it should be.
        """
        if data["method"] not in ("macenko", "vahadane"):
            raise ValueError(f"method {data['method']!r}")
        haematoxylin, eosin = data["stain_matrix"]
        first, second = _numbers(data["concentrations"], 2)
        return cls(
            method=data["method"],
            stain_matrix=(_triple(haematoxylin), _triple(eosin)),
            concentrations=(first, second),
            lab_mean=_triple(data["lab_mean"]),
            lab_std=_triple(data["lab_std"]),
            glass=_triple(data["glass"]),
            num_pixels=int(data["num_pixels"]),
            off_plane=_numbers([data["off_plane"]], 1)[0],
        )


def angle_between(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Degrees between two vectors; 0 where one of them has no length."""
    a, b = np.asarray(first, float), np.asarray(second, float)
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return math.degrees(math.acos(np.clip(a @ b / length, -1.0, 1.0))) if length else 0.0


def _triple(values: Any) -> Triple:
    first, second, third = _numbers(values, 3)
    return first, second, third


def _numbers(values: Any, num: int) -> list[float]:
    numbers = [float(value) for value in values]
    if len(numbers) != num or not all(map(math.isfinite, numbers)):
        raise ValueError(f"{values!r} should be {num} finite numbers")
    return numbers
