"""OME-Zarr (extra `zarr`): a folder of chunks, versions 0.4 (Zarr 2) and 0.5 (Zarr 3) of the format."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from tilewise.errors import SlideUnreadable
from tilewise.slides.header import SlideHeader, make_header, plausible_mpp
from tilewise.slides.samples import RGB
from tilewise.slides.tile_cache import TileCache
from tilewise.units import Box, Size

SUFFIX: Final = ".zarr"
"""Of a folder that is one slide."""

_MICRONS: Final = {"micrometer": 1.0, "nanometer": 1e-3, "millimeter": 1e3}
_RED_GREEN_BLUE: Final = ("FF0000", "00FF00", "0000FF")


class OmeZarrLevels:
    """The levels of the first multiscale image of an OME-Zarr folder.

    Args:
        path: of the folder.

    Raises:
        SlideUnreadable: the package zarr is not installed.
        ValueError: the folder holds no multiscale image of 8-bit RGB or grey, or its metadata is damaged.
    """

    def __init__(self, path: Path) -> None:
        group = _open(path)
        metadata = _ome(group)
        images = metadata.get("multiscales")
        if not isinstance(images, Sequence) or not images:
            raise ValueError(
                "it has no `multiscales`, which an OME-Zarr image has; give the folder of the image itself"
            )
        image = images[0]
        self.notes: tuple[str, ...] = ()
        if len(images) > 1:
            self.notes = (f"left out: {len(images) - 1} further images of the same OME-Zarr folder",)
        self._axes = _axes(image)
        self._arrays = [group[str(one["path"])] for one in image["datasets"]]
        for array in self._arrays:
            self._require_rgb(array, metadata)
        self.sizes = tuple(Size(*(int(array.shape[self._axes.index(axis)]) for axis in "xy")) for array in self._arrays)
        if any(one.area <= other.area for one, other in zip(self.sizes, self.sizes[1:], strict=False)):
            raise ValueError("its levels do not become smaller, as those of OME-Zarr do")
        self.mpp = _mpp(image, self._axes)
        self._cache = TileCache(self._decoded)

    @property
    def is_grey(self) -> bool:
        """Whether it has one channel."""
        return "c" not in self._axes or self._arrays[0].shape[self._axes.index("c")] == 1

    def read(self, level: int, box: Box) -> RGB:
        """As `Levels.read`."""
        return self._cache.read(level, box, self._chunk(level))

    def close(self) -> None:
        """As `Levels.close`."""
        self._cache.clear()
        self._arrays = []

    def _chunk(self, level: int) -> Size:
        chunks = self._arrays[level].chunks
        return Size(*(int(chunks[self._axes.index(axis)]) for axis in "xy"))

    def _decoded(self, level: int, row: int, column: int) -> RGB:
        width, height = self._chunk(level)
        spans = {"y": slice(row * height, (row + 1) * height), "x": slice(column * width, (column + 1) * width)}
        # One time and one plane, as checked; every channel.
        index = tuple(spans.get(axis, slice(None) if axis == "c" else 0) for axis in self._axes)
        pixels = np.asarray(self._arrays[level][index])
        left = [axis for axis in self._axes if axis in "cyx"]
        if "c" not in left:
            pixels, left = pixels[..., np.newaxis], [*left, "c"]
        pixels = np.transpose(pixels, [left.index(axis) for axis in "yxc"])
        return np.ascontiguousarray(np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels)

    def _require_rgb(self, array: Any, metadata: Mapping[str, Any]) -> None:
        if array.ndim != len(self._axes):
            raise ValueError(f"a level has {array.ndim} axes, its metadata names {len(self._axes)}")
        if array.dtype != np.uint8:
            raise ValueError(f"its samples are {array.dtype}, not 8 bits; scale it to 8 bits and save it again")
        lengths = dict(zip(self._axes, array.shape, strict=True))
        for axis, meaning in (("t", "times"), ("z", "planes")):
            if lengths.get(axis, 1) != 1:
                raise ValueError(f"it has {lengths[axis]} {meaning}; save the one you mean")
        num_channels = lengths.get("c", 1)
        colours = tuple(str(one.get("color", "")).upper() for one in (metadata.get("omero") or {}).get("channels", ()))
        if num_channels not in {1, 3} or (num_channels == 3 and colours not in {(), ("",) * 3, _RED_GREEN_BLUE}):
            raise ValueError(f"its {num_channels} channels are no red, green and blue; save it as RGB")


def read_ome_zarr_header(path: Path) -> SlideHeader:
    """Read what an OME-Zarr folder says about its image.

    Raises:
        SlideUnreadable: the package zarr is not installed.
        ValueError: as `OmeZarrLevels`.
    """
    levels = OmeZarrLevels(path)
    return make_header(
        format="OME-Zarr",
        stored_size=levels.sizes[0],
        mode="grey" if levels.is_grey else "rgb",
        bits=8,
        mpp=levels.mpp,
        levels=levels.sizes,
    )


def _open(path: Path) -> Any:
    try:
        import zarr
    except ImportError as error:
        raise SlideUnreadable(
            f"{path}: OME-Zarr is read by the package zarr, which is not installed; run pip install 'tilewise[zarr]', "
            "or save the slide as a tiled TIFF"
        ) from error
    return zarr.open_group(path, mode="r")


def _ome(group: Any) -> Mapping[str, Any]:
    """The metadata: below `ome` since version 0.5."""
    attributes = dict(group.attrs)
    inner = attributes.get("ome")
    return inner if isinstance(inner, Mapping) else attributes


def _axes(image: Mapping[str, Any]) -> list[str]:
    """Names of the axes, in the order of the arrays' dimensions; before version 0.4 always tczyx."""
    axes = [str(one["name"] if isinstance(one, Mapping) else one).lower() for one in image.get("axes", "tczyx")]
    if not {"x", "y"} <= set(axes) or set(axes) - set("tczyx") or len(set(axes)) < len(axes):
        raise ValueError(f"its axes are {', '.join(axes)}; save it with y, x and at most t, c, z")
    return axes


def _mpp(image: Mapping[str, Any], axes: Sequence[str]) -> float | None:
    """Microns per pixel of the finest level; None where the unit of length is not said."""
    steps = [*image["datasets"][0].get("coordinateTransformations", ()), *image.get("coordinateTransformations", ())]
    microns = []
    for axis in "xy":
        place = axes.index(axis)
        named = image.get("axes", ())
        unit = named[place].get("unit") if len(named) > place and isinstance(named[place], Mapping) else None
        scales = [float(step["scale"][place]) for step in steps if step.get("type") == "scale"]
        microns.append(math.prod(scales) * _MICRONS.get(str(unit), math.nan) if scales else math.nan)
    return plausible_mpp(*microns)
