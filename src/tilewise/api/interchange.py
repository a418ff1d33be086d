"""Files of other programs: features in and out, and what a run knows of its slides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from tilewise.api.coerce import checked, to_folder, to_stages
from tilewise.errors import ArgumentError, UsageError
from tilewise.run_folder import RunFolder

if TYPE_CHECKING:
    from tilewise.interchange.convert import ConvertedFeatures
    from tilewise.interchange.folder import ReadFormat, WriteFormat
    from tilewise.pipeline.export_run import ExportedRun
    from tilewise.pipeline.finished_run import Run


@checked
def import_features(folder: Path | str, out: Path | str, format_: ReadFormat | None = None) -> ConvertedFeatures:
    """Copy features of another program, with every fact of its files, into files of tilewise.

    Args:
        folder: of the features; files are known by what they hold.
        out: a new or empty folder.
        format_: `trident`, `clam`, `stamp` or `torchmil`, where the folder holds several; None recognises it.

    Raises:
        UsageError: there are no features, `out` holds other files, or h5py is not installed.

    Example:
        >>> exported = tw.api.export_features("runs/first", "torchmil_features", "torchmil")
        >>> len(tw.api.import_features("torchmil_features", "own_features").files)
        12
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
        folder: of features, imported or of any program; or of a finished run, whose features come from the cache
            or are made again from its slides.
        out: a new or empty folder.
        format_: `trident`, `clam`, `stamp`, `torchmil`, or `hs2p`, which holds where tiles lie and no vectors.
        mpp: microns per level-0 pixel, where files do not say it.
        tile_size: side of a tile in level-0 pixels, likewise.
        tile_px: side of a tile as the encoder took it, likewise.
        encoder: its name, likewise.

    Raises:
        UsageError: there are no features, `out` holds other files, or h5py is not installed.

    Example:
        >>> len(tw.api.export_features("runs/first", "clam_features", "clam").files)
        12
    """
    from tilewise.interchange.convert import check_empty, convert
    from tilewise.interchange.folder import FeatureFolder, HeldFeatures, WriteFormat
    from tilewise.pipeline.cohort_features import run_features
    from tilewise.pipeline.shared_stages import Resources

    if format_ not in get_args(WriteFormat):
        raise ArgumentError(f"format_={format_!r}: give one of {', '.join(get_args(WriteFormat))}")
    facts: dict[str, Any] = {"mpp": mpp, "tile_size": tile_size, "tile_px": tile_px, "encoder": encoder}
    declared = {name: value for name, value in facts.items() if value is not None}
    check_empty(Path(out))
    run = RunFolder(Path(folder))
    if not run.identity.is_file():
        return convert(FeatureFolder.find(run.root), Path(out), format_, declared)
    identity = run.require_finished()
    if identity["cohort"]["layout"] == "features":
        raise UsageError(f"{run.root} was trained on features of {identity['cohort']['root']}; export that folder")
    decisions = run.audit / "decisions.csv" if identity.get("decisions") else None
    shared = to_stages(
        identity["cohort"]["root"], "train", decisions=decisions, seed=int(identity["seed"]), resources=Resources()
    )
    features, failures = run_features(run, shared)
    result = convert(HeldFeatures(features), Path(out), format_, declared)
    return replace(result, failures=(*failures, *result.failures))


@checked
def model_card(run: Run | Path | str, out: Path | str) -> Path:
    """Write `MODEL_CARD.md` of a run: scores, training data, intended use; what a person has to fill in is marked.

    Args:
        run: a finished run, or its folder.
        out: a new or empty folder.

    Returns:
        Where the card lies.

    Raises:
        UsageError: the folder holds no finished run, or `out` holds other files.
        ArtifactError: a file of the run is damaged.

    Example:
        >>> tw.api.model_card("runs/first", "card").name
        'MODEL_CARD.md'
    """
    from tilewise.interchange.convert import check_empty
    from tilewise.pipeline.model_card import write_model_card

    check_empty(Path(out), contents="card")
    return write_model_card(to_folder(run), Path(out))


@checked
def export_run(run: Run | Path | str, out: Path | str, format_: Literal["qupath"] = "qupath") -> ExportedRun:
    """Write how each slide of a run was predicted, its mask and its tiles as GeoJSON that QuPath opens.

    Args:
        run: a finished run, or its folder.
        out: a new or empty folder.
        format_: `qupath`.

    Raises:
        UsageError: the folder holds no finished run or one of several runs, or `out` holds other files.
        ArtifactError: a file of the run is damaged.

    Example:
        >>> len(tw.api.export_run("runs/first", "qupath").files)
        12
    """
    from tilewise.interchange.convert import check_empty
    from tilewise.pipeline.export_run import export_qupath

    if format_ != "qupath":
        raise ArgumentError(f"format_={format_!r}: give qupath")
    check_empty(Path(out), contents="GeoJSON")
    return export_qupath(to_folder(run), Path(out))
