"""A folder of features in, another program's files out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from tilewise.errors import SlideError, UsageError
from tilewise.execution import Failure
from tilewise.interchange.folder import OWN, FeatureFolder, HeldFeatures, write_features
from tilewise.interchange.slide_features import SUFFIX, SlideFeatures
from tilewise.store import check_out_place, path_below, visible_names


@dataclass(frozen=True)
class ConvertedFeatures:
    """What became of a folder of features.

    Attributes:
        source: format that was read.
        format: that was written.
        files: slide -> the files that were written.
        without_file: slides without tiles, for which the format has no file.
        failures: slides that were refused, and why.
    """

    source: str
    format: str
    files: Mapping[str, tuple[Path, ...]]
    without_file: tuple[str, ...]
    failures: tuple[Failure, ...]


def convert(
    folder: FeatureFolder | HeldFeatures, out: Path, format_: str, declared: Mapping[str, Any] | None = None
) -> ConvertedFeatures:
    """Write every slide of a folder in a format; one that is refused is named, and the others go on.

    Args:
        folder: to read.
        out: to write into; new or empty.
        format_: `tilewise`, or another program's.
        declared: facts that a person states where files do not say them: `mpp`, `tile_size` (in level-0 pixels),
            `tile_px`, `encoder`.

    Raises:
        UsageError: `out` holds other files, or a library is not installed.
    """
    outcome = folder.each(partial(_convert_slide, out, format_, declared or {}))
    return ConvertedFeatures(
        folder.format,
        format_,
        {name: paths for name, paths in outcome.results.items() if paths},
        tuple(name for name, paths in outcome.results.items() if not paths),
        outcome.failures,
    )


def _convert_slide(out: Path, format_: str, declared: Mapping[str, Any], slide: SlideFeatures) -> tuple[Path, ...]:
    return _write(_with_declared(slide, declared), out, format_, declared_mpp="mpp" in declared)


def check_empty(out: Path, *, contents: str = "features") -> None:
    """Refuse a folder that holds anything.

    Raises:
        UsageError: it does, or is a file or a part of a run.
    """
    check_out_place(out, contents=contents)
    names = visible_names(out)
    if names:
        raise UsageError(f"--out {out}: it holds other files ({names[0]}); choose a new or empty folder")


def _write(slide: SlideFeatures, out: Path, format_: str, *, declared_mpp: bool) -> tuple[Path, ...]:
    if format_ != OWN:
        return write_features(slide, out, format_, declared_mpp=declared_mpp)
    path = path_below(out, f"{slide.slide_id}{SUFFIX}")
    slide.write(path)
    return (path,)


def _with_declared(slide: SlideFeatures, declared: Mapping[str, Any]) -> SlideFeatures:
    """The slide with what a person states; that must not contradict its file."""
    for name, value in declared.items():
        if name == "tile_size" and slide.unit == "um":
            raise SlideError(f"{slide.slide_id}: its file counts tiles in microns; leave --tile-size out")
        current = getattr(slide, name)
        if current not in (None, "", value):
            option = f"--{name.replace('_', '-')}"
            raise SlideError(f"{slide.slide_id}: its file says {current}, and {option} {value}; leave {option} out")
        slide = replace(slide, **{name: value})
    return slide
