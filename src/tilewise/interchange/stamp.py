"""STAMP 2.1 and later: `{extractor}-{hash8}/{path}.h5`, coordinates in microns."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tilewise.errors import SlideError
from tilewise.interchange.h5_files import attributes_of, open_h5, write_h5
from tilewise.interchange.slide_features import SlideFeatures, number
from tilewise.store import path_below

NAME = "stamp"
# Readers refuse files of versions newer than their own.
_STAMP_VERSION = "2.1.0"


def read(path: Path, slide_id: str) -> SlideFeatures:
    """Read one slide.

    Raises:
        SlideUnreadable: the file is damaged.
        SlideError: its coordinates are in another unit than microns.
    """
    with open_h5(path) as file:
        features = file["feats"][()]
        coords = file["coords"][()] if "coords" in file else None
        attributes = {"file": attributes_of(file)}
        attributes |= {name: own for name in ("feats", "coords") if name in file and (own := attributes_of(file[name]))}
    of_file = attributes["file"]
    if of_file.get("unit", "um") != "um":
        raise SlideError(f"{slide_id}: its coordinates are in {of_file['unit']!r}, and STAMP's are in microns (um)")
    tile_px = number(of_file.get("tile_size_px"))
    declared = number(of_file.get(_DECLARED))
    return SlideFeatures(
        slide_id,
        features,
        coords,
        NAME,
        unit="um",
        tile_size=number(of_file.get("tile_size_um")),
        tile_px=None if tile_px is None else round(tile_px),
        mpp=declared,
        encoder=str(of_file.get("extractor", "")),
        attributes=attributes,
    )


def write(slide: SlideFeatures, folder: Path, *, declared_mpp: bool = False) -> tuple[Path, ...]:
    """Write one slide; float16, as STAMP has it. A slide without tiles has no file.

    Args:
        slide: what was read.
        folder: of an extractor's features.
        declared_mpp: whether a person gave the scale; the file says so.

    Raises:
        SlideError: the scale, the tiles' size or the encoder are unknown, or values go beyond float16.
    """
    path = path_below(folder, f"{slide.slide_id}.h5")
    if slide.source == NAME:
        arrays = {"feats": slide.features} | ({} if slide.coords is None else {"coords": slide.coords})
        write_h5(path, arrays, slide.attributes)
        return (path,)
    if not slide.features.size:
        return ()
    if slide.of_slide:
        raise SlideError(
            f"{slide.slide_id}: one vector of the whole slide tells no tiles; STAMP's `tile` files hold them"
        )
    if slide.tile_px is None:
        raise SlideError(f"{slide.slide_id}: STAMP asks how many pixels the encoder took; the file does not say")
    if not slide.encoder:
        raise SlideError(f"{slide.slide_id}: STAMP asks for the encoder, and the file does not name it; give --encoder")
    largest = float(np.abs(slide.tile_vectors[np.isfinite(slide.tile_vectors)]).max(initial=0.0))
    if largest > float(np.finfo(np.float16).max):
        raise SlideError(
            f"{slide.slide_id}: a value of {largest:.4g} goes beyond float16, which STAMP stores; export another format"
        )
    mark = {_DECLARED: slide.mpp} if declared_mpp and slide.mpp is not None else {}
    of_file = {
        "stamp_version": _STAMP_VERSION,
        "extractor": slide.encoder,
        "unit": "um",
        "tile_size_um": slide.tile_size_in("um"),
        "tile_size_px": slide.tile_px,
        "code_hash": "tilewise",
        "feat_type": "tile",
        **mark,
    }
    arrays = {"feats": slide.tile_vectors.astype(np.float16), "coords": slide.coords_um().astype(np.float32)}
    write_h5(path, arrays, {"file": of_file})
    return (path,)


_DECLARED = "tilewise_declared_mpp"
