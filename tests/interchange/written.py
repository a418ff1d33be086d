"""Feature files as the neighbours' own code writes them, data set by data set."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

COORDS = {
    "patch_size": 256, "patch_size_level0": 512, "level0_magnification": 40, "target_magnification": 20,
    "overlap": 0, "name": "a", "savetodir": "job", "level0_width": 40000, "level0_height": 30000,
}  # fmt: skip


def vectors(num: int, dim: int = 8, *, seed: int = 0, dtype: type = np.float32) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(num, dim)).astype(dtype)


def grid(num: int, side: int = 512) -> np.ndarray:
    """Corners of tiles, int64 (N, 2)."""
    return np.stack([np.arange(num) % 7 * side, np.arange(num) // 7 * side], axis=1).astype(np.int64)


def write_trident(path: Path, features: np.ndarray, coords: np.ndarray, *, encoder: str = "uni_v1", **more) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, data in (("features", features), ("coords", coords)):
            # As its writer does: chunked, so that it can grow.
            maxshape = (None, *data.shape[1:]) if data.ndim else None
            file.create_dataset(name, data=data, maxshape=maxshape, chunks=(max(len(data), 1), *data.shape[1:]))
        of_features = {"name": path.stem, "savetodir": str(path.parent)} | ({"encoder": encoder} if encoder else {})
        for place, attributes in (("features", of_features), ("coords", COORDS | more)):
            for name, value in attributes.items():
                file[place].attrs[name] = value if value is not None else "None"
    return path


def write_clam(folder: Path, name: str, features: np.ndarray, coords: np.ndarray, *, level: int = 0) -> None:
    import torch

    for below in ("h5_files", "pt_files", "patches"):
        (folder / below).mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / "h5_files" / f"{name}.h5", "w") as file:
        file.create_dataset(
            "features", data=features.astype(np.float32), chunks=True, maxshape=(None, features.shape[1])
        )
        file.create_dataset("coords", data=coords.astype(np.int32), chunks=True, maxshape=(None, 2))
    torch.save(torch.from_numpy(features.astype(np.float32)), folder / "pt_files" / f"{name}.pt")
    down = float(4**level)
    with h5py.File(folder / "patches" / f"{name}.h5", "w") as file:
        data = file.create_dataset("coords", data=coords.astype(np.int64), chunks=True, maxshape=(None, 2))
        data.attrs["patch_size"] = 512
        data.attrs["patch_level"] = level
        data.attrs["downsample"] = (down, down)
        data.attrs["downsampled_level_dim"] = tuple(np.array((40000, 30000)) // 4**level)
        data.attrs["level_dim"] = (40000 // 4**level, 30000 // 4**level)
        data.attrs["name"] = name
        data.attrs["save_path"] = str(folder / "patches")


def write_stamp(path: Path, features: np.ndarray, coords_um: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["coords"] = coords_um.astype(np.float32)
        file["feats"] = features.astype(np.float16)
        file.attrs["stamp_version"] = "2.3.0"
        file.attrs["extractor"] = "uni"
        file.attrs["unit"] = "um"
        file.attrs["tile_size_um"] = 256.0
        file.attrs["tile_size_px"] = 224
        file.attrs["code_hash"] = "0a1b2c3d"
        file.attrs["feat_type"] = "tile"
    return path


def content(path: Path) -> dict[str, object]:
    """Everything that a .h5 file says: data sets with type and bytes, attributes with type and value."""

    def attributes(item: h5py.HLObject) -> dict[str, tuple[str, object]]:
        return {name: (np.asarray(value).dtype.str, np.asarray(value).tolist()) for name, value in item.attrs.items()}

    with h5py.File(path) as file:
        sets = {name: (item.dtype.str, item.shape, item[()].tobytes(), attributes(item)) for name, item in file.items()}
        return {"sets": sets, "file": attributes(file)}
