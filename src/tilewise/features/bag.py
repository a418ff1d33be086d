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
        training_only: bool (N,), extra views of a rare class, which only training may see; None where there are none.
            It follows from the tile table and is not written.
        num_left: tiles that keep their own colours although each was to be normalised by itself.
    """

    slide_id: str
    features_ND: npt.NDArray[np.float32]
    boxes: Boxes
    training_only: npt.NDArray[np.bool_] | None = None
    num_left: int = 0

    def scored(self) -> FeatureBag:
        """The bag without the tiles that only training may see: a slide's label must not tell how it is looked at."""
        if self.training_only is None or not self.training_only.any():
            return self
        kept = ~self.training_only
        return FeatureBag(self.slide_id, self.features_ND[kept], self.boxes[kept])

    def write(self, path: Path, *, key: str) -> None:
        """Write the bag as HDF5: `/features`, `/boxes`, and attributes that say what made it."""
        from tilewise.version import __version__

        # A crash cannot leave half a bag unnoticed: a digest inside tells it from a whole one.
        with atomic_path(path, durable=False) as temporary, h5py.File(temporary, "w") as file:
            file.attrs["schema"] = _SCHEMA
            file.attrs["schema_version"] = _VERSION
            file.attrs["tilewise_version"] = __version__
            file.attrs["slide"] = self.slide_id
            file.attrs["key"] = key
            file.attrs["num_left"] = self.num_left
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
        return cls(
            slide_id,
            features.astype(np.float32, copy=False),
            boxes.astype(np.int64, copy=False),
            num_left=int(head.get("num_left", 0)),
        )


def _digest(features_ND: npt.NDArray[np.float32], boxes: Boxes) -> str:
    shapes = repr((features_ND.shape, features_ND.dtype.str, boxes.shape, boxes.dtype.str))
    return digest_bytes(shapes.encode() + features_ND.tobytes() + boxes.tobytes())
