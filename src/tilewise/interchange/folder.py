"""A folder of features: its format is recognised by what the files hold, for folders can have been renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from tilewise.cohort import Cohort
from tilewise.errors import CohortError, SlideError, UsageError
from tilewise.interchange import clam, hs2p, stamp, torchmil, trident
from tilewise.interchange.h5_files import open_h5
from tilewise.interchange.slide_features import SUFFIX, SlideFeatures

ReadFormat = Literal["trident", "clam", "stamp", "torchmil"]
WriteFormat = Literal["trident", "clam", "stamp", "torchmil", "hs2p"]
OWN: Final = "tilewise"
IN_WORDS: Final[Mapping[str, str]] = {
    "trident": "TRIDENT", "clam": "CLAM", "stamp": "STAMP", "torchmil": "torchmil", "hs2p": "hs2p", OWN: "tilewise",
}  # fmt: skip


@dataclass(frozen=True)
class FeatureFolder:
    """Files of one encoder's features.

    Attributes:
        root: what the slides' names are relative to.
        format: of all files: `tilewise`, or another program's.
        files: slide -> its file.
    """

    root: Path
    format: str
    files: Mapping[str, Path]

    @classmethod
    def find(cls, folder: Path, *, format_: str | None = None) -> FeatureFolder:
        """Find the features in a folder, those of one format where it holds several.

        Raises:
            CohortError: there are none, or of several formats.
            UsageError: h5py is needed and not installed.
        """
        by_format: dict[str, list[Path]] = {}
        for path, kind in _kinds(folder):
            by_format.setdefault(kind, []).append(path)
        if format_ is not None:
            by_format = {kind: paths for kind, paths in by_format.items() if kind == format_}
        if not by_format:
            wanted = "" if format_ is None else f" of {IN_WORDS[format_]}"
            raise CohortError(f"{folder}: no features{wanted} were found; give the folder that holds the .h5 files")
        if len(by_format) > 1:
            names = " and ".join(IN_WORDS[kind] for kind in sorted(by_format))
            raise CohortError(f"{folder}: features of {names} lie here; give the folder of one of them")
        ((kind, paths),) = by_format.items()
        root = Path(os.path.commonpath([path.parent for path in paths]))
        return cls(root, kind, {path.relative_to(root).with_suffix("").as_posix(): path for path in paths})

    def read(self, slide_id: str) -> SlideFeatures:
        """Read the file of a slide.

        Raises:
            SlideError: it is damaged or of another kind; names the slide.
            ArtifactError: it is tilewise's own and damaged.
        """
        path = self.files[slide_id]
        if self.format == OWN:
            return replace(SlideFeatures.read(path), slide_id=slide_id)
        slide = _READ[self.format](path, slide_id)
        if slide.features.ndim not in (1, 2):
            raise SlideError(f"{slide_id}: its features have {slide.features.ndim} axes, and tiles x values are two")
        if slide.coords is not None and slide.coords.size != 2 * len(slide.tile_vectors) and not slide.of_slide:
            raise SlideError(
                f"{slide_id}: {len(slide.tile_vectors)} vectors, but coordinates of {slide.coords.size / 2:g}"
            )
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

    def read(self, slide_id: str) -> SlideFeatures:
        """The vectors of a slide."""
        return self.files[slide_id]


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
    for path in sorted(folder.rglob("*.h5")):
        kind = _kind_of_h5(path)
        if kind is not None:
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


def _kind_of_h5(path: Path) -> str | None:
    """What wrote the file, by what it holds; None where it holds no vectors (tiles alone, say)."""
    with open_h5(path) as file:
        if "feats" in file:
            return stamp.NAME
        if "features" not in file:
            return None
        has_attributes = len(file["features"].attrs) or ("coords" in file and len(file["coords"].attrs))
        return trident.NAME if has_attributes else clam.NAME
