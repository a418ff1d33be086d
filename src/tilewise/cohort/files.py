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

from tilewise.cohort.faults import Faults, some
from tilewise.errors import CohortError
from tilewise.slides import SUFFIXES

_MASK_NAME: Final = re.compile(r"^mask[_-](?P<after>.+)$|^(?P<before>.+)[_-]mask$", re.IGNORECASE)
_SLIDE_NAME: Final = re.compile(r"^(?:img|image|slide)[_-](?P<after>.+)$", re.IGNORECASE)


@dataclass(frozen=True)
class Listing:
    """The files right in one folder, sorted by name.

    Attributes:
        folder: which was listed.
        images: image files of either kind, by their suffix.
        ignored: the other files.
        folders: its folders, hidden ones left out.
    """

    folder: Path
    images: tuple[Path, ...]
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
    images, ignored, folders = [], [], []
    try:
        paths = sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise CohortError(f"{folder}: cannot be listed ({error.strerror or error}); check its rights") from error
    for path in paths:
        if path.is_dir():
            if not path.name.startswith("."):
                folders.append(path)
        elif path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
            images.append(path)
        else:
            ignored.append(path)
    return Listing(folder, tuple(images), tuple(ignored), tuple(folders))


def mask_key(path: Path) -> str | None:
    """What a mask's name says of its slide: `0000` for `mask_0000.png` and `0000_mask.png`; None for other names."""
    found = _MASK_NAME.match(path.stem)
    return None if found is None else (found["after"] or found["before"])


class SlideFinder:
    """Find the file a table means by a slide's name."""

    def __init__(self, bases: Sequence[Path]) -> None:
        self._bases = bases
        self._listings: dict[Path, Listing] = {}
        self._how: dict[str, list[str]] = defaultdict(list)

    def find(self, name: str) -> Path | str:
        """The slide's file, or why there is none.

        The name is tried as a path (absolute, or below one of the base folders), then without regard to spaces and
        backslashes, then without a suffix, then without regard to case; each but the first is noted.
        """
        how, found = self._candidates(name)
        if len(found) == 1:
            if how:
                self._how[how].append(name)
            return found[0]
        if found:
            return f"it may be {some([path.name for path in found])}; write the one you mean, with its suffix"
        return self._missing(_plain(name))

    def finds(self, name: str) -> bool:
        """Whether exactly one file is meant."""
        return len(self._candidates(name)[1]) == 1

    def notes(self) -> list[str]:
        """How names were matched that are no paths as they stand."""
        return [f"{len(names)} slides found with the {how}: {some(names)}" for how, names in self._how.items()]

    def listing(self, folder: Path) -> Listing:
        """A folder's listing, read once."""
        if folder not in self._listings:
            self._listings[folder] = list_folder(folder)
        return self._listings[folder]

    def _candidates(self, name: str) -> tuple[str, list[Path]]:
        plain = _plain(name)
        for how, spelled in (("", name), ("spaces or backslashes in the name passed over", plain)):
            existing = self._existing(spelled)
            if existing is not None:
                return how, [existing]
        for how, same in (("name without a suffix", _same_stem), ("case of the name passed over", _same_casefolded)):
            found = sorted({path for path in self._neighbours(plain) if same(path.name, Path(plain).name)})
            if found:
                return how, found
        return "", []

    def _existing(self, name: str) -> Path | None:
        return next((base / name for base in self._bases if (base / name).is_file()), None)

    def _neighbours(self, name: str) -> Iterable[Path]:
        for base in self._bases:
            yield from self.listing((base / name).parent).images

    def _missing(self, name: str) -> str:
        folders = some([str((base / name).parent) for base in self._bases])
        names = [path.name for path in self._neighbours(name)]
        close = difflib.get_close_matches(Path(name).name, names, n=1, cutoff=0.8)
        there = f" ({close[0]} is there)" if close else ""
        return f"no such file in {folders}{there}; correct the name, put the file there, or delete the row"


class MaskPairing:
    """Pair the slides of one folder with masks by name.

    `img_0000` belongs to `mask_0000`, and `a` to `a_mask` or `mask_a`, beside the slides or in a folder of masks; in
    the latter also to a mask of its own name.
    """

    def __init__(self, slides: Listing, listings: Callable[[Path], Listing]) -> None:
        self.folder = slides.folder
        folders = [listings(folder) for folder in mask_folders(slides.folder)]
        self._by_key: dict[str, list[Path]] = defaultdict(list)
        self._masks = (*slides.masks, *(path for listing in folders for path in listing.images))
        self._used: set[Path] = set()
        for path in self._masks:
            key = mask_key(path)
            if key is not None:
                self._by_key[key.casefold()].append(path)
            if path.parent != slides.folder:
                self._by_key[path.stem.casefold()].append(path)

    def mask_of(self, slide_id: str, slide: Path, faults: Faults) -> Path | None:
        """The slide's mask, None where there is none; two candidates are a fault."""
        keys = {slide.stem.casefold()}
        if short := _SLIDE_NAME.match(slide.stem):
            keys.add(short["after"].casefold())
        found = sorted({path for key in keys for path in self._by_key.get(key, ())} - {slide})
        self._used.update(found)
        if len(found) > 1:
            names = " or ".join(f"{path.parent.name}/{path.name}" for path in found)
            faults.add("two masks", f"slide `{slide_id}`: its mask may be {names}; keep one, or name it in a table")
        return found[0] if len(found) == 1 else None

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
    return name.strip().replace("\\", "/")


def _same_stem(file: str, name: str) -> bool:
    return Path(file).stem == name and mask_key(Path(file)) is None


def _same_casefolded(file: str, name: str) -> bool:
    return name.casefold() in {file.casefold(), Path(file).stem.casefold()} and mask_key(Path(file)) is None
