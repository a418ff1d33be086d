"""A folder of features: its format is recognised by what the files hold, for folders can have been renamed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Final, Literal, TypeVar

from tilewise.cohort import Cohort
from tilewise.errors import CohortError, SlideError, SlideUnreadable, UsageError
from tilewise.execution import Failure, Outcome, run_each, slide_time_limit
from tilewise.interchange import clam, hs2p, stamp, torchmil, trident
from tilewise.interchange.h5_files import open_h5
from tilewise.interchange.slide_features import SUFFIX, SlideFeatures

ReadFormat = Literal["trident", "clam", "stamp", "torchmil"]
WriteFormat = Literal["trident", "clam", "stamp", "torchmil", "hs2p"]
OWN: Final = "tilewise"
IN_WORDS: Final[Mapping[str, str]] = {
    "trident": "TRIDENT", "clam": "CLAM", "stamp": "STAMP", "torchmil": "torchmil", "hs2p": "hs2p", OWN: "tilewise",
}  # fmt: skip
_STAGE: Final = "features"
_H5: Final = ".h5"
# Seconds for one file, of which the HDF5 library makes a loop without end where some bytes are damaged.
_LIMIT_S: Final = 300.0
# One reads while the vectors of the other are on their way.
_READERS: Final = 2

Result = TypeVar("Result")


@dataclass(frozen=True)
class FeatureFolder:
    """Files of one encoder's features.

    Attributes:
        root: what the slides' names are relative to.
        format: of all files: `tilewise`, or another program's.
        files: slide -> its file.
        unreadable: slides whose file does not even tell its format, and why.
    """

    root: Path
    format: str
    files: Mapping[str, Path]
    unreadable: Mapping[str, Failure] = field(default_factory=dict)

    @classmethod
    def find(cls, folder: Path, *, format_: str | None = None) -> FeatureFolder:
        """Find the features in a folder, those of one format where it holds several.

        Raises:
            CohortError: there are none, or of several formats.
            SlideUnreadable: not one file can be read; of the first.
            UsageError: h5py is needed and not installed.
        """
        by_format: dict[str, list[Path]] = {}
        failures = _kinds_of_h5(folder)[1]
        for path, kind in _kinds(folder):
            by_format.setdefault(kind, []).append(path)
        if format_ is not None:
            by_format = {kind: paths for kind, paths in by_format.items() if kind == format_}
        if not by_format and failures:
            raise SlideUnreadable(next(iter(failures.values())).message)
        if not by_format:
            wanted = "" if format_ is None else f" of {IN_WORDS[format_]}"
            raise CohortError(f"{folder}: no features{wanted} were found; give the folder that holds the .h5 files")
        if len(by_format) > 1:
            names = " and ".join(IN_WORDS[kind] for kind in sorted(by_format))
            raise CohortError(f"{folder}: features of {names} lie here; give the folder of one of them")
        ((kind, paths),) = by_format.items()
        root = Path(os.path.commonpath([path.parent for path in paths]))
        if paths[0].suffix != _H5:
            failures = {}
        paths = sorted([*paths, *(path for path in failures if path.is_relative_to(root))])
        files = {path.relative_to(root).with_suffix("").as_posix(): path for path in paths}
        unreadable = {name: replace(failures[path], item=name) for name, path in files.items() if path in failures}
        return cls(root, kind, files, unreadable)

    def each(self, work: Callable[[SlideFeatures], Result]) -> Outcome[Result]:
        """Read every slide and call `work`, which is picklable, on it; files that are damaged are named.

        HDF5 is read in other processes, where a damaged file can be stopped.

        Raises:
            UsageError: a library is not installed.
        """
        outcome = run_each(
            partial(_read_and, work, self.format),
            {name: (name, path) for name, path in self.files.items() if name not in self.unreadable},
            stage=_STAGE,
            workers=_READERS if self._is_h5 else 1,
            limit_s=slide_time_limit(_LIMIT_S),
            claim=None,
            isolate=self._is_h5,
        )
        failures = {failure.item: failure for failure in outcome.failures} | dict(self.unreadable)
        return replace(outcome, failures=tuple(failures[name] for name in self.files if name in failures))

    @property
    def _is_h5(self) -> bool:
        return any(path.suffix == _H5 for path in self.files.values())

    def read(self, slide_id: str) -> SlideFeatures:
        """Read the file of a slide in this process, which a damaged HDF5 file can hold up for ever; see `each`.

        Raises:
            SlideError: it is damaged or of another kind; names the slide.
            ArtifactError: it is tilewise's own and damaged.
        """
        return _read(self.format, slide_id, self.files[slide_id])


def _read_and(work: Callable[[SlideFeatures], Result], format_: str, item: tuple[str, Path]) -> Result:
    return work(_read(format_, *item))


def _read(format_: str, slide_id: str, path: Path) -> SlideFeatures:
    if format_ == OWN:
        return replace(SlideFeatures.read(path), slide_id=slide_id)
    slide = _READ[format_](path, slide_id)
    if slide.features.ndim not in (1, 2):
        raise SlideError(f"{slide_id}: its features have {slide.features.ndim} axes, and tiles x values are two")
    if slide.coords is not None and slide.coords.size != 2 * len(slide.tile_vectors) and not slide.of_slide:
        raise SlideError(f"{slide_id}: {len(slide.tile_vectors)} vectors, but coordinates of {slide.coords.size / 2:g}")
    return slide


@dataclass(frozen=True)
class HeldFeatures:
    """Features that lie in memory, to be written in a format.

    Attributes:
        files: slide -> its vectors.
        format: `tilewise`.
    """

    files: Mapping[str, SlideFeatures]
    format: str = OWN

    def each(self, work: Callable[[SlideFeatures], Result]) -> Outcome[Result]:
        """Call `work` on every slide."""
        return run_each(work, self.files, stage=_STAGE, workers=1)


def write_features(slide: SlideFeatures, folder: Path, format_: str, *, declared_mpp: bool) -> tuple[Path, ...]:
    """Write a slide in a format; nothing where that has no file for a slide without tiles.

    Args:
        slide: what was read.
        folder: to write into.
        format_: of the files.
        declared_mpp: whether a person gave the scale, which files of STAMP then say.

    Raises:
        SlideError: the format asks for a fact that is unknown, or cannot hold one that is there.
    """
    if format_ == stamp.NAME:
        return stamp.write(slide, folder, declared_mpp=declared_mpp)
    return _WRITE[format_](slide, folder)


_READ: Final = {trident.NAME: trident.read, clam.NAME: clam.read, stamp.NAME: stamp.read, torchmil.NAME: torchmil.read}
_WRITE: Final = {
    trident.NAME: trident.write, clam.NAME: clam.write, torchmil.NAME: torchmil.write, hs2p.NAME: hs2p.write,
}  # fmt: skip


def is_feature_folder(folder: Path) -> bool:
    """Whether a folder holds features, and no cohort of slides with labels."""
    if not folder.is_dir() or next(_kinds(folder), None) is None:
        return False
    try:
        Cohort.discover(folder)
    except CohortError:
        return True
    return False


def _kinds(folder: Path) -> Iterator[tuple[Path, str]]:
    """Feature files with their formats; `pt_files` only where there is no .h5, for they repeat them."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; give a folder of features")
    any_file = False
    for path, kind in _kinds_of_h5(folder)[0].items():
        any_file = True
        yield path, kind
    for path in sorted(folder.rglob(f"*{SUFFIX}")):
        with path.open("rb") as stream:
            is_own = b"tilewise.features" in stream.read(4096)
        if is_own:
            any_file = True
            yield path, OWN
    if any_file:
        return
    yield from ((path, clam.NAME) for path in sorted(folder.rglob("*.pt")))
    for path in sorted(folder.rglob("*.npy")):
        parts = path.relative_to(folder).parts[:-1]
        if "features" in parts or (folder.name == "features" and not parts):
            yield path, torchmil.NAME


def _kinds_of_h5(folder: Path) -> tuple[dict[Path, str], dict[Path, Failure]]:
    """Formats of HDF5 files that hold vectors, and files that cannot be read."""
    paths = {str(path.relative_to(folder)): path for path in sorted(folder.rglob(f"*{_H5}"))}
    stats = {name: path.lstat() for name, path in paths.items()}
    outcome = _recognise(tuple((name, paths[name], stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()))
    kinds = {paths[name]: kind for name, kind in outcome.results.items() if kind is not None}
    return kinds, {paths[failure.item]: failure for failure in outcome.failures}


@lru_cache(maxsize=1)
def _recognise(files: tuple[tuple[str, Path, int, int], ...]) -> Outcome[str | None]:
    """Sizes and times are given so that a file that is changed is opened again."""
    return run_each(
        _kind_of_h5, {name: path for name, path, *_ in files}, stage=_STAGE,
        workers=_READERS, limit_s=slide_time_limit(_LIMIT_S), claim=None, isolate=True,
    )  # fmt: skip


def _kind_of_h5(path: Path) -> str | None:
    """What wrote the file, by what it holds; None where it holds no vectors (tiles alone, say)."""
    with open_h5(path) as file:
        if "feats" in file:
            return stamp.NAME
        if "features" not in file:
            return None
        has_attributes = len(file["features"].attrs) or ("coords" in file and len(file["coords"].attrs))
        return trident.NAME if has_attributes else clam.NAME
