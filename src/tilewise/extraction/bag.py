"""A feature bag: the vectors of one slide's tiles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tilewise.errors import ArtifactError
from tilewise.store import read_checksummed_tensors, write_checksummed_tensors
from tilewise.tiles.window import Boxes

_SCHEMA = "tilewise.feature-bag"
_VERSION = 4


@dataclass(frozen=True)
class FeatureBag:
    """Vectors of one slide's tiles.

    Attributes:
        slide_id: whose tiles these are.
        features_ND: float32 (N, D).
        boxes: int64 (N, 4) as x, y, width, height in level-0 pixels, row by row.
        mask_ratios: float64 (N,), share of each tile's box that the mask covers, or the tissue where tiles are cut by
            tissue; likewise not written.
        context_E: float32 (E,), what is described beside the tiles (`with_context`); None where nothing is. It is not
            written.
        num_unnormalised: tiles that keep their own colours although each was to be normalised by itself.
    """

    slide_id: str
    features_ND: npt.NDArray[np.float32]
    boxes: Boxes
    num_unnormalised: int = 0
    context_E: npt.NDArray[np.float32] | None = None
    mask_ratios: npt.NDArray[np.float64] | None = None

    @property
    def placements_NP(self) -> npt.NDArray[np.float32] | None:  # noqa: N802 - carries its axes
        """Mask ratio, x and y of each tile, float32 (N, 3), each from -1 to 1; None where mask ratios are not known.

        x and y are those of the tile's centre in the box around all centres; 0 where that has no extent.
        """
        if self.mask_ratios is None:
            return None
        centres_N2 = self.boxes[:, :2] + self.boxes[:, 2:] / 2.0
        middle_2 = (centres_N2.min(axis=0) + centres_N2.max(axis=0)) / 2.0
        half_2 = np.ptp(centres_N2, axis=0) / 2.0
        across_N2 = (centres_N2 - middle_2) / np.where(half_2 > 0, half_2, 1.0)
        return np.column_stack([2.0 * self.mask_ratios - 1.0, across_N2]).astype(np.float32)

    def write(self, path: Path, *, key: str) -> None:
        """Write the bag as safetensors: `features` and `boxes`, what made them in the header."""
        from tilewise.version import __version__

        metadata = {
            "schema": _SCHEMA,
            "schema_version": _VERSION,
            "tilewise_version": __version__,
            "slide": self.slide_id,
            "key": key,
            "num_unnormalised": self.num_unnormalised,
        }
        write_checksummed_tensors(path, {"features": self.features_ND, "boxes": self.boxes}, metadata, durable=False)

    @classmethod
    def read(cls, path: Path, slide_id: str, *, key: str) -> FeatureBag:
        """Read a bag from the cache.

        Raises:
            ArtifactError: it is missing, damaged, or was made from something else.
        """
        tensors, metadata = read_checksummed_tensors(path)
        if (metadata.get("schema"), metadata.get("schema_version"), metadata.get("key")) != (_SCHEMA, _VERSION, key):
            raise ArtifactError(f"{path} is not the bag of {slide_id} that was asked for; delete it and run again")
        return cls(slide_id, tensors["features"], tensors["boxes"], num_unnormalised=int(metadata["num_unnormalised"]))


def placements(bags: Iterable[FeatureBag]) -> npt.NDArray[np.float32] | None:
    """Mask ratio and place of the tiles of some slides, float32 (N, 3); None where those of one are not known."""
    each = [bag.placements_NP for bag in bags]
    known = [one for one in each if one is not None]
    return np.concatenate(known) if known and len(known) == len(each) else None
