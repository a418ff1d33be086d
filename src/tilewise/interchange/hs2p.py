"""hs2p and soma: `{slide}.coordinates.npz` and `{slide}.coordinates.meta.json`; coordinates alone, no vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from tilewise.errors import SlideError
from tilewise.interchange.slide_features import SlideFeatures
from tilewise.store import atomic_path, path_below, write_text

NAME = "hs2p"
# Readers refuse metadata that lacks a key or has another one; what tilewise does not know is null.
_KEYS: Final = {
    "provenance": "sample_id image_path mask_path backend requested_backend mask_backend requested_mask_backend "
    "spacing_at_level_0",
    "slide": "dimensions base_spacing_um level_downsamples",
    "tiling": "requested_tile_size_px requested_spacing_um read_level read_tile_size_px read_spacing_um tile_size_lv0 "
    "tolerance step_px_lv0 overlap min_tissue_fraction is_within_tolerance n_tiles",
    "segmentation": "tissue_method requested_seg_downsample seg_downsample seg_level seg_spacing_um sthresh sthresh_up "
    "mthresh close sam2_checkpoint_path sam2_config_path mask_path ref_tile_size_px tissue_mask_tissue_value "
    "mask_level mask_spacing_um",
    "filtering": "a_t a_h filter_white filter_black white_threshold black_threshold fraction_threshold "
    "filter_grayspace grayspace_saturation_threshold grayspace_fraction_threshold filter_blur blur_threshold "
    "qc_spacing_um",
    "artifact": "coordinate_space tile_order annotation selection_strategy output_mode",
}


def write(slide: SlideFeatures, folder: Path) -> tuple[Path, ...]:
    """Write where the tiles of one slide lie, by x and then by y; the vectors have no place in these files.

    Raises:
        SlideError: coordinates, scale or the tiles' sizes are unknown, or tiles are no whole pixels wide.
    """
    if slide.mpp is None or slide.tile_px is None:
        unknown, option = ("how many microns a pixel is", "--mpp") if slide.mpp is None else ("its size", "--tile-px")
        raise SlideError(f"{slide.slide_id}: hs2p asks for the tile's scale, and {unknown} is unknown; give {option}")
    side = slide.tile_size_in("px")
    if not float(side).is_integer():
        raise SlideError(f"{slide.slide_id}: a tile is {side:g} level-0 pixels wide, and hs2p counts whole ones")
    xy_N2 = slide.coords_px()
    xy_N2 = xy_N2[np.lexsort((xy_N2[:, 1], xy_N2[:, 0]))]
    name = slide.slide_id
    meta_path, path = (path_below(folder, f"{name}.coordinates.{suffix}") for suffix in ("meta.json", "npz"))
    write_text(meta_path, json.dumps(_meta(slide, int(side), slide.mpp), indent=2, sort_keys=True) + "\n")
    if not len(xy_N2):
        return (meta_path,)
    with atomic_path(path) as here, here.open("wb") as stream:
        np.savez_compressed(
            stream,
            tile_index=np.arange(len(xy_N2), dtype=np.int32),
            x=xy_N2[:, 0],
            y=xy_N2[:, 1],
            tissue_fractions=np.full(len(xy_N2), np.nan, np.float32),  # nobody measured it
        )
    return meta_path, path


def _meta(slide: SlideFeatures, side: int, mpp: float) -> dict[str, dict[str, Any]]:
    meta: dict[str, dict[str, Any]] = {section: dict.fromkeys(names.split()) for section, names in _KEYS.items()}
    meta["provenance"] |= {
        "sample_id": Path(slide.slide_id).name,
        "image_path": slide.slide_id,
        "backend": "tilewise",
        "requested_backend": "tilewise",
        "spacing_at_level_0": mpp,
    }
    meta["slide"] |= {
        "dimensions": None if slide.size is None else list(slide.size),
        "base_spacing_um": mpp,
        "level_downsamples": [[1.0, 1.0]],
    }
    meta["tiling"] |= {
        "requested_tile_size_px": slide.tile_px,
        "requested_spacing_um": mpp * side / slide.tile_px if slide.tile_px else None,
        "read_level": 0,
        "read_tile_size_px": side,
        "read_spacing_um": mpp,
        "tile_size_lv0": side,
        "is_within_tolerance": True,
        "n_tiles": len(slide.coords_px()),
    }
    meta["artifact"] |= {"coordinate_space": "level0_px", "tile_order": "x_then_y"}
    return meta
