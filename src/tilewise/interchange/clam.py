"""CLAM: `h5_files/{slide}.h5`, `pt_files/{slide}.pt` and, of the tiles, `patches/{slide}.h5`."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewise.errors import SlideError, SlideUnreadable
from tilewise.interchange.h5_files import attributes_of, open_h5, write_h5
from tilewise.interchange.slide_features import Array, SlideFeatures
from tilewise.store import atomic_path, path_below

NAME = "clam"
_INT32 = np.iinfo(np.int32)


def read(path: Path, slide_id: str) -> SlideFeatures:
    """Read one slide; what CLAM says of its tiles is taken from `patches` beside the folder, where that is there.

    Raises:
        SlideUnreadable: the file is damaged, or a pickle that could run code.
    """
    if path.suffix == ".pt":
        features, coords = read_tensor(path), None
    else:
        with open_h5(path) as file:
            features = file["features"][()]
            coords = file["coords"][()] if "coords" in file else None
    attributes: dict[str, dict[str, Any]] = {}
    root = path.parents[len(Path(slide_id).parts)]
    patches = root / "patches" / f"{slide_id}.h5"
    if patches.is_file():
        with open_h5(patches) as file:
            attributes["patches"] = attributes_of(file["coords"])
            coords = file["coords"][()] if coords is None else coords
    of_tiles = attributes.get("patches", {})
    tile_px = int(of_tiles["patch_size"]) if "patch_size" in of_tiles else None
    downsample, level_dim = (np.ravel(of_tiles.get(name, ())) for name in ("downsample", "level_dim"))
    at_level_0 = len(level_dim) == 2 and int(of_tiles.get("patch_level", -1)) == 0
    return SlideFeatures(
        slide_id,
        features,
        coords,
        NAME,
        tile_size=None if tile_px is None or not len(downsample) else tile_px * float(downsample[0]),
        tile_px=tile_px,
        size=(int(level_dim[0]), int(level_dim[1])) if at_level_0 else None,
        attributes=attributes,
    )


def write(slide: SlideFeatures, folder: Path) -> tuple[Path, ...]:
    """Write features as `h5_files` and `pt_files`, and `patches` where the tiles' size is known.

    A slide without tiles has no file.

    Raises:
        SlideError: coordinates are unknown or do not fit, or there is one vector of the whole slide.
    """
    import torch

    if not slide.features.size:
        return ()
    if slide.of_slide:
        raise SlideError(f"{slide.slide_id}: CLAM holds vectors of tiles, and this is one of the whole slide")
    h5_path, pt_path, patches = (
        path_below(folder / name, f"{slide.slide_id}{suffix}")
        for name, suffix in (("h5_files", ".h5"), ("pt_files", ".pt"), ("patches", ".h5"))
    )
    features_ND, coords_N2, of_tiles = slide.features, slide.coords, slide.attributes.get("patches", {})
    if slide.source != NAME:
        features_ND, coords_N2, of_tiles = features_ND.astype(np.float32), _int32(slide), _of_tiles(slide)
    with atomic_path(pt_path) as here:
        torch.save(torch.from_numpy(np.ascontiguousarray(features_ND)), here)
    if coords_N2 is None:
        return (pt_path,)
    write_h5(h5_path, {"features": features_ND, "coords": coords_N2})
    if not of_tiles:
        return h5_path, pt_path
    write_h5(patches, {"coords": coords_N2.astype(np.int64)}, {"coords": of_tiles})
    return h5_path, pt_path, patches


def read_tensor(path: Path) -> Array:
    """A file of one tensor, float (N, D).

    Raises:
        SlideUnreadable: it holds anything else, such as a pickled array.
    """
    import torch

    try:
        tensor = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise SlideUnreadable(f"{path.name}: {_PICKLE}") from error
    if not isinstance(tensor, torch.Tensor):
        raise SlideUnreadable(f"{path.name}: {_PICKLE}")
    array: Array = tensor.numpy()
    return array


_PICKLE = (
    "it holds no tensor; a pickled array could run code when it is opened, and is not read. Where you trust the file, "
    "convert it: torch.save(torch.as_tensor(torch.load(PATH, weights_only=False)), PATH), or have the program write .h5"
)


def _int32(slide: SlideFeatures) -> npt.NDArray[np.int32]:
    coords_N2 = slide.coords_px()
    if coords_N2.min() < _INT32.min or coords_N2.max() > _INT32.max:
        raise SlideError(f"{slide.slide_id}: its coordinates do not fit into CLAM's 32 bits")
    return coords_N2.astype(np.int32)


def _of_tiles(slide: SlideFeatures) -> dict[str, Any]:
    """As CLAM says it of tiles that were cut at level 0; nothing where their size is unknown."""
    if slide.tile_size is None:
        return {}
    side = slide.tile_size_in("px")
    if not float(side).is_integer():
        raise SlideError(f"{slide.slide_id}: a tile is {side:g} level-0 pixels wide, and CLAM counts whole ones")
    size = () if slide.size is None else slide.size
    dims = {"downsampled_level_dim": size, "level_dim": size} if size else {}
    return {
        "patch_size": int(side),
        "patch_level": 0,
        "downsample": (1.0, 1.0),
        **dims,
        "name": Path(slide.slide_id).name,
        "save_path": "None",
    }
