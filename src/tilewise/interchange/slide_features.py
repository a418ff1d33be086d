"""Vectors of one slide's tiles as another program made them, with every fact that its file holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tilewise.errors import ArtifactError, SlideError
from tilewise.store import read_checksummed_tensors, write_checksummed_tensors

Array = npt.NDArray[Any]
Unit = Literal["px", "um"]
SUFFIX = ".safetensors"

_SCHEMA, _VERSION = "tilewise.features", 1
_FACTS = ("source", "unit", "tile_size", "tile_px", "mpp", "size", "encoder")
# Level-0 pixels are whole; microns in float32 are off by less, another scale by more.
_MOST_OFF_PX = 0.05


@dataclass(frozen=True, eq=False)
class SlideFeatures:
    """Vectors of one slide.

    Attributes:
        slide_id: path below the folder of features, without a suffix.
        features: float16 or float32 (N, D), tile by tile; (D,) where one vector stands for the whole slide. Without
            tiles (0, D) or (0,).
        coords: (N, 2) as x, y of the tiles' top-left corners, in the type of the file; None where nobody wrote them.
        source: format of the file that they were read from.
        unit: of `coords` and `tile_size`: level-0 pixels or microns.
        tile_size: side of a tile; None where unknown.
        tile_px: side of a tile as the encoder took it, in pixels; None where unknown.
        mpp: microns per level-0 pixel; None where unknown.
        size: width and height of the slide in level-0 pixels; None where unknown.
        encoder: its name; empty where unknown.
        attributes: place (`features`, `coords`, `file`, ...) -> attributes of the source's file, so that it can be
            written again as it was.
    """

    slide_id: str
    features: Array
    coords: Array | None
    source: str
    unit: Unit = "px"
    tile_size: float | None = None
    tile_px: int | None = None
    mpp: float | None = None
    size: tuple[int, int] | None = None
    encoder: str = ""
    attributes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def of_slide(self) -> bool:
        """Whether one vector stands for the whole slide."""
        return self.features.ndim == 1 and self.features.size > 0

    @property
    def tile_vectors(self) -> Array:
        """Tile by tile (N, D); (1, D) of a vector of the whole slide, (0, 0) of an empty file that tells no D."""
        if self.features.ndim == 2:
            return self.features
        return self.features[None] if self.of_slide else self.features.reshape(0, 0)

    def coords_px(self) -> npt.NDArray[np.int64]:
        """Top-left corners in level-0 pixels, int64 (N, 2).

        Raises:
            SlideError: there are none, the scale of microns is unknown, or they are no whole pixels.
        """
        if self.coords is None:
            raise SlideError(f"{self.slide_id}: its file holds no coordinates; import the features with them")
        xy_N2 = self.coords.reshape(-1, 2).astype(np.float64)
        if self.unit == "um":
            xy_N2 = xy_N2 / self._scale()
        whole_N2 = np.rint(xy_N2)
        if np.abs(xy_N2 - whole_N2).max(initial=0.0) > _MOST_OFF_PX:
            raise SlideError(
                f"{self.slide_id}: its coordinates are no whole level-0 pixels; give the slide's own --mpp"
            )
        return whole_N2.astype(np.int64)

    def coords_um(self) -> npt.NDArray[np.float64]:
        """Top-left corners in microns, float64 (N, 2).

        Raises:
            SlideError: there are none, or the scale of pixels is unknown.
        """
        if self.unit == "px":
            return self.coords_px().astype(np.float64) * self._scale()
        assert self.coords is not None
        return self.coords.reshape(-1, 2).astype(np.float64)

    def tile_size_in(self, unit: Unit) -> float:
        """Side of a tile in level-0 pixels or microns.

        Raises:
            SlideError: it, or the scale, is unknown.
        """
        if self.tile_size is None:
            raise SlideError(f"{self.slide_id}: its file does not say how large a tile is; give --tile-size")
        if unit == self.unit:
            return self.tile_size
        return self.tile_size * self._scale() if unit == "um" else self.tile_size / self._scale()

    def _scale(self) -> float:
        if self.mpp is None:
            raise SlideError(f"{self.slide_id}: its file does not say how many microns a pixel is; give --mpp")
        return self.mpp

    @property
    def without_vectors(self) -> SlideFeatures:
        """Where its tiles lie and what is known of them, each vector empty; one of the whole slide lies nowhere."""
        empty_N0 = np.empty((len(self.tile_vectors), 0), dtype=np.float32)
        return replace(self, features=empty_N0, coords=None if self.of_slide else self.coords)

    def write(self, path: Path) -> None:
        """Write tilewise's own file: arrays in the types they have, facts and attributes in the header."""
        description = {
            "schema": _SCHEMA,
            "schema_version": _VERSION,
            "slide": self.slide_id,
            **{name: getattr(self, name) for name in _FACTS},
            "attributes": {
                place: {name: _to_json(value, f"{self.slide_id}: {name}") for name, value in attributes.items()}
                for place, attributes in self.attributes.items()
            },
        }
        arrays = {"features": self.features} | ({} if self.coords is None else {"coords": self.coords})
        write_checksummed_tensors(path, arrays, description)

    @classmethod
    def read(cls, path: Path) -> SlideFeatures:
        """Read what `write` wrote.

        Raises:
            ArtifactError: it is missing, damaged or something else.
        """
        again = "import the features again"
        arrays, description = read_checksummed_tensors(path, again=again)
        if (description.get("schema"), description.get("schema_version")) != (_SCHEMA, _VERSION):
            raise ArtifactError(f"{path} holds no features of this version of tilewise; {again}")
        facts = {name: description[name] for name in _FACTS}
        facts["size"] = None if facts["size"] is None else tuple(facts["size"])
        attributes = {
            place: {name: _of_json(value) for name, value in items.items()}
            for place, items in description["attributes"].items()
        }
        return cls(description["slide"], arrays["features"], arrays.get("coords"), **facts, attributes=attributes)


def number(value: Any) -> float | None:
    """An attribute as a number; None where it is missing or says that nobody knows."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _to_json(value: Any, where: str) -> Any:
    """Text as it is; numbers and arrays with their type, which HDF5 tells apart."""
    if isinstance(value, str):
        return value
    array = np.asarray(value)
    if array.dtype.kind in "biuf":
        return {"dtype": array.dtype.str, "value": array.tolist()}
    raise SlideError(f"{where}: an attribute of type {array.dtype} cannot be kept; delete it from the file")


def _of_json(value: Any) -> Any:
    return value if isinstance(value, str) else np.array(value["value"], dtype=value["dtype"])[()]
