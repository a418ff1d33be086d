"""HDF5 files through h5py, which is an extra: opened lazily, damaged ones named."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tilewise.errors import SlideUnreadable, UsageError
from tilewise.interchange.slide_features import Array
from tilewise.store import atomic_path


@contextlib.contextmanager
def open_h5(path: Path) -> Iterator[Any]:
    """Open a file to read.

    Raises:
        UsageError: h5py is not installed.
        SlideUnreadable: the file is damaged, or no HDF5.
    """
    h5py = _h5py()
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, KeyError, RuntimeError) as error:
        raise SlideUnreadable(f"{path.name}: cannot be read as HDF5 ({error}); copy it again from where it was made"
                              ) from error  # fmt: skip


def attributes_of(item: Any) -> dict[str, Any]:
    """Attributes of a file or data set."""
    return {str(name): value for name, value in item.attrs.items()}


def write_h5(
    path: Path, arrays: Mapping[str, Array], attributes: Mapping[str, Mapping[str, Any]] | None = None
) -> None:
    """Write data sets with their attributes; those of `file` stand on the file itself.

    Raises:
        UsageError: h5py is not installed.
    """
    h5py = _h5py()
    with atomic_path(path) as here, h5py.File(here, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array)
        for place, items in (attributes or {}).items():
            item = file if place == "file" else file[place]
            for name, value in items.items():
                item.attrs[name] = value


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise UsageError(
            "features in .h5 files need h5py, which is not installed: pip install 'tilewise[h5]'"
        ) from error
    return h5py
