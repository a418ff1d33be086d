"""A feature bag: the vectors of one slide's tiles."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from tilewise.errors import ArtifactError
from tilewise.store import atomic_path, digest_bytes
from tilewise.tiles.window import Boxes

_SCHEMA = "tilewise.feature-bag"
_VERSION = 2


@dataclass(frozen=True)
class FeatureBag:
    """Vectors of one slide's tiles.

    Attributes:
        slide_id: whose tiles these are.
        features_ND: float32 (N, D).
        boxes: int64 (N, 4) as x, y, width, height in level-0 pixels, row by row.
    """

    slide_id: str
    features_ND: npt.NDArray[np.float32]
    boxes: Boxes

    def write(self, path: Path, *, key: str) -> None:
        """Write the bag as HDF5: `/features`, `/boxes`, and attributes that say what made it."""
        from tilewise.version import __version__

        # A crash between write and rename cannot leave half a bag; a digest inside tells bit rot from truth.
        with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
            file.attrs["schema"] = _SCHEMA
            file.attrs["schema_version"] = _VERSION
            file.attrs["tilewise_version"] = __version__
            file.attrs["slide"] = self.slide_id
            file.attrs["key"] = key
            file.attrs["digest"] = _digest(self.features_ND, self.boxes)
            file["features"] = self.features_ND
            file["boxes"] = self.boxes

    @classmethod
    def read(cls, path: Path, slide_id: str, *, key: str) -> FeatureBag:
        """Read a bag from the cache.

        Raises:
            ArtifactError: it is damaged or was made from something else.
        """
        try:
            with h5py.File(path, "r") as file:
                head = dict(file.attrs)
                features, boxes = file["features"][...], file["boxes"][...]
        except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:  # what HDF5 stumbles over
            raise ArtifactError(f"{path} is damaged ({error}); delete it and run again") from error
        sound = (
            head.get("schema") == _SCHEMA
            and head.get("schema_version") == _VERSION
            and head.get("key") == key
            and head.get("digest") == _digest(features, boxes)
        )
        if not sound:
            raise ArtifactError(f"{path} is not the bag of {slide_id} that was asked for; delete it and run again")
        return cls(slide_id, features.astype(np.float32, copy=False), boxes.astype(np.int64, copy=False))


def _digest(features_ND: npt.NDArray[np.float32], boxes: Boxes) -> str:
    shapes = repr((features_ND.shape, features_ND.dtype.str, boxes.shape, boxes.dtype.str))
    return digest_bytes(shapes.encode() + features_ND.tobytes() + boxes.tobytes())
