"""Features that other programs keep: in, and out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from tilewise.api.coerce import checked
from tilewise.errors import ArgumentError

if TYPE_CHECKING:
    from tilewise.interchange.convert import ConvertedFeatures
    from tilewise.interchange.folder import ReadFormat, WriteFormat


@checked
def import_features(folder: Path | str, out: Path | str, format_: ReadFormat | None = None) -> ConvertedFeatures:
    """Copy features of another program, with every fact of its files, into files of tilewise.

    Args:
        folder: of the features; files are known by what they hold.
        out: a new or empty folder.
        format_: `trident`, `clam`, `stamp` or `torchmil`, where the folder holds several; None recognises it.

    Raises:
        UsageError: there are no features, `out` holds other files, or h5py is not installed.
    """
    from tilewise.interchange.convert import check_empty, convert
    from tilewise.interchange.folder import OWN, FeatureFolder, ReadFormat

    if format_ is not None and format_ not in get_args(ReadFormat):
        raise ArgumentError(f"format_={format_!r}: give one of {', '.join(get_args(ReadFormat))}, or None")
    check_empty(Path(out))
    return convert(FeatureFolder.find(Path(folder), format_=format_), Path(out), OWN)


@checked
def export_features(
    folder: Path | str,
    out: Path | str,
    format_: WriteFormat,
    *,
    mpp: float | None = None,
    tile_size: float | None = None,
    tile_px: int | None = None,
    encoder: str | None = None,
) -> ConvertedFeatures:
    """Write features in another program's files; what was imported from it comes out as it was.

    Args:
        folder: of features, imported or of any program.
        out: a new or empty folder.
        format_: `trident`, `clam`, `stamp`, `torchmil`, or `hs2p`, which holds where tiles lie and no vectors.
        mpp: microns per level-0 pixel, where files do not say it.
        tile_size: side of a tile in level-0 pixels, likewise.
        tile_px: side of a tile as the encoder took it, likewise.
        encoder: its name, likewise.

    Raises:
        UsageError: there are no features, `out` holds other files, or h5py is not installed.
    """
    from tilewise.interchange.convert import check_empty, convert
    from tilewise.interchange.folder import FeatureFolder, WriteFormat

    if format_ not in get_args(WriteFormat):
        raise ArgumentError(f"format_={format_!r}: give one of {', '.join(get_args(WriteFormat))}")
    facts: dict[str, Any] = {"mpp": mpp, "tile_size": tile_size, "tile_px": tile_px, "encoder": encoder}
    declared = {name: value for name, value in facts.items() if value is not None}
    check_empty(Path(out))
    return convert(FeatureFolder.find(Path(folder)), Path(out), format_, declared)
