"""OME-Zarr folders written with zarr, so that every pixel and every line of metadata is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

CHANNELS = [{"label": name, "color": color} for name, color in (("R", "FF0000"), ("G", "00FF00"), ("B", "0000FF"))]


def write_ome_zarr(
    path: Path, levels: list[npt.NDArray[Any]], *, version: str = "0.5", axes: str = "tczyx", chunk: int = 48,
    mpp: float | None = 0.25, unit: str | None = "micrometer", omero: bool = True,
) -> Path:  # fmt: skip
    """Levels, (H, W, 3) or (H, W), as bioformats2raw and ome-zarr-py write them."""
    import zarr

    group = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    kinds = {"t": "time", "c": "channel"}
    names = [{"name": axis, "type": kinds.get(axis, "space")} for axis in axes]
    for one in names:
        if one["type"] == "space" and unit:
            one["unit"] = unit
    datasets = []
    for number, level in enumerate(levels):
        planes = level[:, :, None] if level.ndim == 2 else level
        pixel_axes = [axis for axis in axes if axis in "cyx"]
        pixels = np.transpose(planes if "c" in axes else planes[:, :, 0], ["yxc".index(axis) for axis in pixel_axes])
        pixels = pixels.reshape([pixels.shape[pixel_axes.index(axis)] if axis in pixel_axes else 1 for axis in axes])
        chunks = tuple(chunk if axis in "yx" else length for axis, length in zip(axes, pixels.shape, strict=True))
        array = group.create_array(str(number), shape=pixels.shape, dtype=pixels.dtype, chunks=chunks)
        array[...] = pixels
        factor = levels[0].shape[1] / level.shape[1]
        scale = [1.0 if axis in "tc" or mpp is None else mpp * factor for axis in axes]
        datasets.append({"path": str(number), "coordinateTransformations": [{"type": "scale", "scale": scale}]})
    image: dict[str, Any] = {"name": "slide", "axes": names, "datasets": datasets}
    if version == "0.4":
        image["version"] = version
        group.attrs.update({"multiscales": [image]} | ({"omero": {"channels": CHANNELS}} if omero else {}))
    else:
        group.attrs["ome"] = {"version": version, "multiscales": [image]} | (
            {"omero": {"channels": CHANNELS}} if omero else {}
        )
    return path
