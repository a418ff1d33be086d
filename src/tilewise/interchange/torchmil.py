"""torchmil: folders `features` and `coords` with `{slide}.npy`; its readers divide coordinates by the level-0 side."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tilewise.errors import SlideError, SlideUnreadable
from tilewise.interchange.slide_features import Array, SlideFeatures
from tilewise.store import atomic_path, path_below

NAME = "torchmil"


def read(path: Path, slide_id: str) -> SlideFeatures:
    """Read one slide of the folder `features`, with its file in `coords` beside it, where there is one.

    Raises:
        SlideUnreadable: a file is damaged, or a pickle that could run code.
    """
    beside = path.parents[len(Path(slide_id).parts)] / "coords" / f"{slide_id}.npy"
    return SlideFeatures(slide_id, _load(path), _load(beside) if beside.is_file() else None, NAME)


def write(slide: SlideFeatures, folder: Path) -> tuple[Path, ...]:
    """Write one slide into `features` and `coords`, in level-0 pixels.

    Raises:
        SlideError: coordinates are unknown, or there is one vector of the whole slide.
    """
    if slide.of_slide:
        raise SlideError(f"{slide.slide_id}: torchmil holds vectors of tiles, and this is one of the whole slide")
    arrays: dict[str, Array] = {"features": slide.tile_vectors}
    if slide.source != NAME:
        arrays["coords"] = slide.coords_px()
    elif slide.coords is not None:
        arrays["coords"] = slide.coords
    paths = []
    for name, array in arrays.items():
        path = path_below(folder / name, f"{slide.slide_id}.npy")
        with atomic_path(path) as here, here.open("wb") as stream:
            np.save(stream, array, allow_pickle=False)
        paths.append(path)
    return tuple(paths)


def _load(path: Path) -> Array:
    try:
        array: Array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise SlideUnreadable(
            f"{path.name}: cannot be read as a plain array ({error}); write it with np.save(..., allow_pickle=False)"
        ) from error
    return array
