"""Which file is a slide, which is a mask, and which belong together."""

from __future__ import annotations

import difflib
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from tilewise.cohort.faults import Faults, abbreviate
from tilewise.cohort.geojson import SUFFIX as GEOJSON
from tilewise.cohort.identifiers import identifier, same_name
from tilewise.errors import CohortError
from tilewise.slides import SUFFIXES, is_slide_folder, slide_exists
from tilewise.wording import count

_MASK_NAME: Final = re.compile(r"^mask[_-](?P<after>.+)$|^(?P<before>.+)[_-]mask$", re.IGNORECASE)
_OME: Final = ".ome"
_SLIDE_NAME: Final = re.compile(r"^(?:img|image|slide)[_-](?P<after>.+)$", re.IGNORECASE)


@dataclass(frozen=True)
class Listing:
    """The files right in one folder, sorted by name.

    Attributes:
        folder: which was listed.
        images: image files of either kind, by their suffix.
        outlines: GeoJSON files, which are masks.
        ignored: the other files.
        folders: its folders, hidden ones left out.
    """

    folder: Path
    images: tuple[Path, ...]
    outlines: tuple[Path, ...]
    ignored: tuple[Path, ...]
    folders: tuple[Path, ...]

    @cached_property
    def slides(self) -> tuple[Path, ...]:
        """Images that are not named as masks."""
        return tuple(path for path in self.images if mask_key(path) is None)

    @cached_property
    def masks(self) -> tuple[Path, ...]:
        """Images named `mask_...` or `..._mask`."""
        return tuple(path for path in self.images if mask_key(path) is not None)


def list_folder(folder: Path) -> Listing:
    """List a folder; one that is not there is empty.

    Raises:
        CohortError: it may not be listed.
    """
    images, outlines, ignored, folders = [], [], [], []
    try:
        paths = sorted(folder.iterdir(), key=lambda path: path.name) if folder.is_dir() else []
    except OSError as error:
        raise CohortError(f"{folder}: cannot be listed ({error.strerror or error}); check its rights") from error
    for path in paths:
        if path.is_dir() and not is_slide_folder(path):
            if not path.name.startswith("."):
                folders.append(path)
        elif (path.suffix.lower() in SUFFIXES or path.is_dir()) and not path.name.startswith("."):
            images.append(path)
        elif path.suffix.lower() == GEOJSON and not path.name.startswith("."):
            outlines.append(path)
        else:
            ignored.append(path)
    return Listing(folder, tuple(images), tuple(outlines), tuple(ignored), tuple(folders))


def stem_of(path: Path) -> str:
    """A file's name without its suffix; of OME files, without both."""
    return path.stem[: -len(_OME)] if path.stem.lower().endswith(_OME) else path.stem


def mask_key(path: Path) -> str | None:
    """What a mask's name says of its slide: `0000` for `mask_0000.png` and `0000_mask.png`; None for other names."""
    match = _MASK_NAME.match(stem_of(path))
    return None if match is None else (match["after"] or match["before"])


class SlideFinder:
    """Find the files a table means by the names of slides and masks.

    A path is relative to the first base folder where that has it; a name that stands in two folders means neither.
    """

    def __init__(self, bases: Sequence[Path]) -> None:
        self._bases = bases
        self._listings: dict[Path, Listing] = {}
        self._how: dict[str, list[str]] = defaultdict(list)

    def find(self, name: str) -> Path | str:
        """The slide's file, or why there is none.

        The name is tried as a path (absolute, or below one of the base folders), then without regard to spaces and
        backslashes, then to how Unicode composes letters, then without a suffix, then without regard to case; each but
        the first is noted.
        """
        how, matches = self._candidates(name)
        if len(matches) == 1:
            if how:
                self._how[how].append(name)
            return matches[0]
        return self._several(matches) if matches else self._missing(_plain(name))

    def finds(self, name: str) -> bool:
        """Whether exactly one file is meant."""
        return len(self._candidates(name)[1]) == 1

    def find_mask(self, name: str) -> Path | str:
        """The file that a table names as a mask, by its whole name, or why there is none."""
        for spelled in (name, _plain(name)):
            matches = self._existing(spelled) or self._same_spelling(spelled)
            if matches:
                return matches[0] if len(matches) == 1 else self._several(matches)
        return f"no such file below {self._bases[0]}; correct the path, or leave the cell empty"

    def notes(self) -> list[str]:
        """How names were matched that are no paths as they stand."""
        return [
            f"{count(len(names), 'slide')} found with the {how}: {abbreviate(names)}"
            for how, names in self._how.items()
        ]

    def listing(self, folder: Path) -> Listing:
        """A folder's listing, read once."""
        if folder not in self._listings:
            self._listings[folder] = list_folder(folder)
        return self._listings[folder]

    def _candidates(self, name: str) -> tuple[str, list[Path]]:
        plain = _plain(name)
        for how, spelled in (("", name), ("spaces or backslashes in the name passed over", plain)):
            if matches := self._existing(spelled):
                return how, matches
        if matches := self._same_spelling(plain):
            return "Unicode form of the name passed over", matches
        for how, same in (("name without a suffix", _same_stem), ("case of the name passed over", _same_casefolded)):
            matches = _distinct(path for path in self._neighbours(plain) if same(path.name, Path(plain).name))
            if matches:
                return how, matches
        return "", []

    def _existing(self, name: str) -> list[Path]:
        """Files of exactly this name; a path that the first folder has means that file."""
        if "/" in name and _is_file(self._bases[0] / name):
            return [self._bases[0] / name]
        return _distinct(base / name for base in self._bases if _is_file(base / name))

    def _same_spelling(self, name: str) -> list[Path]:
        return _distinct(
            path for path in self._neighbours(name) if identifier(path.name) == identifier(Path(name).name)
        )

    def _neighbours(self, name: str) -> Iterable[Path]:
        for base in self._bases:
            yield from self.listing(_folder_spelled(base, Path(name).parent)).images

    def _several(self, matches: Sequence[Path]) -> str:
        listed = abbreviate([self._relative(path) for path in matches])
        if len({path.name for path in matches}) == 1:
            return (
                f"this name stands in {len(matches)} folders: {listed}; write the path you mean in the table, or give "
                "the folder of the slides you mean instead of a table"
            )
        return f"it may be {listed}; write the one you mean, with its suffix"

    def _relative(self, path: Path) -> str:
        base = self._bases[0]
        return path.relative_to(base).as_posix() if path.is_relative_to(base) else str(path)

    def _missing(self, name: str) -> str:
        folders = abbreviate([str((base / name).parent) for base in self._bases])
        names = [path.name for path in self._neighbours(name)]
        close = difflib.get_close_matches(Path(name).name, names, n=1, cutoff=0.8)
        there = f" ({close[0]} is there)" if close else ""
        return f"no such file in {folders}{there}; correct the name, put the file there, or delete the row"


class MaskPairing:
    """Pair the slides of one folder with masks by name.

    `img_0000` belongs to `mask_0000`, and `a` to `a_mask` or `mask_a`, beside the slides or in a folder of masks; in
    the latter also to a mask of its own name. Outlines in GeoJSON may have the slide's name anywhere, with its suffix
    (`a.svs.geojson`) or without.
    """

    def __init__(self, slides: Listing, listings: Callable[[Path], Listing]) -> None:
        self.folder = slides.folder
        folders = [listings(folder) for folder in mask_folders(slides.folder)]
        self._by_key: dict[str, list[Path]] = defaultdict(list)
        self._masks = (
            *slides.masks,
            *slides.outlines,
            *(path for listing in folders for path in (*listing.images, *listing.outlines)),
        )
        self._used: set[Path] = set()
        outlines = set(slides.outlines)
        for path in self._masks:
            key = mask_key(path)
            if key is not None:
                self._by_key[_folded(key)].append(path)
            if path.parent != slides.folder or path in outlines:
                self._by_key[_folded(stem_of(path))].append(path)

    def mask_of(self, slide_id: str, slide: Path, faults: Faults) -> Path | None:
        """The slide's mask, None where there is none; two candidates are a fault."""
        keys = {_folded(stem_of(slide)), _folded(slide.name)}
        if short := _SLIDE_NAME.match(stem_of(slide)):
            keys.add(_folded(short["after"]))
        masks = sorted({path for key in keys for path in self._by_key.get(key, ())} - {slide})
        self._used.update(masks)
        if len(masks) > 1:
            names = " or ".join(f"{path.parent.name}/{path.name}" for path in masks)
            faults.add("two masks", f"slide `{slide_id}`: its mask may be {names}; keep one, or name it in a table")
        return masks[0] if len(masks) == 1 else None

    def unused(self) -> list[Path]:
        """Masks that no slide was found for."""
        return [path for path in self._masks if path not in self._used]


def mask_folders(folder: Path) -> list[Path]:
    """Where the masks of a folder of slides may lie, besides among them: `masks/` beside `images/`, or below."""
    beside = [folder.parent / "masks"] if folder.name == "images" else [folder.parent / "masks" / folder.name]
    return [path for path in (*beside, folder / "masks") if path.is_dir()]


def same_file(path: Path) -> str:
    """A key that is equal for two spellings of one path."""
    return os.path.normpath(path)


def _plain(name: str) -> str:
    return same_name(name).replace("\\", "/")


def _folded(name: str) -> str:
    return identifier(name).casefold()


def _is_file(path: Path) -> bool:
    try:
        return slide_exists(path)
    except (OSError, ValueError):  # no name of a file at all: too long, or with a null character
        return False


def _distinct(paths: Iterable[Path]) -> list[Path]:
    """The paths in order, one for each file: links and folders that are one are not two."""
    return list({path.resolve(): path for path in sorted(paths, reverse=True)}.values())[::-1]


def _folder_spelled(base: Path, below: Path) -> Path:
    """The folder `below` the base, whatever Unicode form the names on its way have."""
    folder = base
    for part in below.parts:
        step = folder / part
        if not step.is_dir() and folder.is_dir():
            alike = sorted(path for path in folder.iterdir() if identifier(path.name) == identifier(part))
            step = alike[0] if alike else step
        folder = step
    return folder


def _same_stem(file: str, name: str) -> bool:
    stems = {identifier(Path(file).stem), identifier(stem_of(Path(file)))}
    return identifier(name) in stems and mask_key(Path(file)) is None


def _same_casefolded(file: str, name: str) -> bool:
    return (
        _folded(name) in {_folded(file), _folded(Path(file).stem), _folded(stem_of(Path(file)))}
        and mask_key(Path(file)) is None
    )
