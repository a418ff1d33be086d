"""TRIDENT: `features_{encoder}/{slide}.h5` and, of whole slides, `slide_features_{encoder}/{slide}.h5`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tilewise.errors import SlideError
from tilewise.interchange.h5_files import attributes_of, open_h5, write_h5
from tilewise.interchange.slide_features import SlideFeatures, number
from tilewise.store import path_below

NAME = "trident"
_NONE = "None"


def read(path: Path, slide_id: str) -> SlideFeatures:
    """Read one slide; coordinates may carry CLAM's attributes instead.

    Raises:
        SlideUnreadable: the file is damaged.
    """
    with open_h5(path) as file:
        features = file["features"][()]
        coords = file["coords"][()] if "coords" in file else None
        attributes = {name: attributes_of(file[name]) for name in ("features", "coords") if name in file}
    of_tiles = attributes.get("coords", {})
    tile_px, width, height = (number(of_tiles.get(name)) for name in ("patch_size", "level0_width", "level0_height"))
    tile_size = number(of_tiles.get("patch_size_level0"))
    if tile_size is None and tile_px is not None and "downsample" in of_tiles:  # CLAM's, counted at `patch_level`
        tile_size = tile_px * float(np.ravel(of_tiles["downsample"])[0])
    return SlideFeatures(
        slide_id,
        features,
        coords,
        NAME,
        tile_size=tile_size,
        tile_px=None if tile_px is None else round(tile_px),
        size=None if width is None or height is None else (round(width), round(height)),
        encoder=str(attributes["features"].get("encoder", "")),
        attributes=attributes,
    )


def write(slide: SlideFeatures, folder: Path) -> tuple[Path, ...]:
    """Write one slide into the folder of an encoder's features; what was read from TRIDENT comes out as it was.

    Raises:
        SlideError: coordinates or the tiles' size are unknown.
    """
    path = path_below(folder, f"{slide.slide_id}.h5")
    if slide.source == NAME:
        arrays = {"features": slide.features} | ({} if slide.coords is None else {"coords": slide.coords})
        write_h5(path, arrays, slide.attributes)
        return (path,)
    if slide.of_slide:
        raise SlideError(
            f"{slide.slide_id}: one vector of the whole slide tells no tiles; export it as it was imported"
        )
    common = {"name": Path(slide.slide_id).name, "savetodir": _NONE}
    width, height = slide.size or (_NONE, _NONE)
    of_tiles = {
        "patch_size": slide.tile_px or _NONE,
        "patch_size_level0": _whole(slide.tile_size_in("px")),
        "level0_magnification": _NONE,
        "target_magnification": _NONE,
        "overlap": _NONE,
        **common,
        "level0_width": width,
        "level0_height": height,
    }
    write_h5(
        path,
        {"features": slide.tile_vectors, "coords": slide.coords_px()},
        {"features": {**common, "encoder": slide.encoder or _NONE}, "coords": of_tiles},
    )
    return (path,)


def _whole(value: float) -> int | float:
    return int(value) if value.is_integer() else value
