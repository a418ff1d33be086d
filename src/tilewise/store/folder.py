"""Where results go: nothing that is not an earlier result of the same command is written over.

Every command asks here before its long work. `Inputs` are what it reads (`cohort.inputs` knows a cohort's).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tilewise.errors import UsageError
from tilewise.store.edited import edited_files

# A file that a folder of results always holds -> what lies right in the folder and belongs to it.
_OWNED: Final[Mapping[str, frozenset[str]]] = {
    "run.json": frozenset(
        {
            "run.json", "recipe.yaml", "environment.json", "audit", "segment", "tiles.parquet", "tiles-outside.parquet",
            "stain.json", "folds.json", "folds", "model", "predictions.parquet", "evaluation.json", "report.html",
            "ladder.json", "shortcuts.json", "doubtful_labels.csv", "review",
            "tile_probabilities.parquet", "learning_curve.json", "failures.csv", "ensemble.json", "manifest.json",
        }
    ),
    "sweep.json": frozenset({"sweep.json", "sweep.html", "sweep.csv", "folds.json", "shared", "variants"}),
}  # fmt: skip

_HEAD: Final = 4096


@dataclass(frozen=True)
class Inputs:
    """Files that a command reads.

    Attributes:
        files: which nothing may be written over.
        folders: that hold them; new files there must not be taken for more of them.
        names: of files that mean something in the folder of any cohort.
        suffixes: of files that are taken for slides, in lower case.
        slide_folders: names of the folders in a cohort's own that hold slides.
        class_folders: folders whose sub-folders are classes.
    """

    files: tuple[Path, ...] = ()
    folders: tuple[Path, ...] = ()
    names: frozenset[str] = frozenset()
    suffixes: frozenset[str] = frozenset()
    slide_folders: tuple[str, ...] = ()
    class_folders: tuple[Path, ...] = ()


def visible_names(folder: Path) -> list[str]:
    """What lies in a folder, sorted, hidden names left out; nothing where there is no folder."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else []


def check_out(
    out: Path, *, mark: str, contents: str, inputs: Inputs | None = None, may_be_edited: bool = False
) -> None:
    """Refuse a folder that holds anything but what an earlier call of the same command wrote.

    Args:
        out: the folder, which need not be there.
        mark: name of a file that such a call always leaves.
        contents: what is to be written, for messages.
        inputs: what the command reads.
        may_be_edited: whether the command itself takes care of results that a person edited.

    Raises:
        UsageError: it is a file, belongs to a cohort or a run, or holds other things or edited results.
    """
    check_out_place(out, contents=contents, inputs=inputs)
    foreign = visible_names(out)
    if foreign and not (out / mark).is_file():
        raise UsageError(f"--out {out}: it holds other files ({foreign[0]}); choose a new or empty folder")
    edited = [] if may_be_edited else edited_files(out)
    if edited:
        raise UsageError(
            f"--out {out}: {edited[0].relative_to(out).as_posix()} was edited since it was written; choose another "
            "folder, or delete it to have it made again"
        )


def check_out_place(out: Path, *, contents: str, inputs: Inputs | None = None) -> None:
    """Refuse a folder for results that is a file, holds inputs, or lies where a cohort or a run has its own.

    Raises:
        UsageError: it is one of these.
    """
    inputs = inputs or Inputs()
    if out.is_file():
        raise UsageError(f"--out {out} is a file; name a folder for the {contents}")
    (place,) = _places(out)[:1]
    inside = next((path for path in inputs.files if any(key.is_relative_to(place) for key in _places(path))), None)
    if inside is not None:
        raise UsageError(f"--out {out}: it holds {inside.name}, which is read here; choose another folder")
    # A folder `masks` is never a class, and where masks are looked for.
    for folder in inputs.class_folders:
        if place.parent == _places(folder)[0] and place.name != "masks":
            raise UsageError(f"--out {out}: the folders in {folder} are classes; choose a folder elsewhere")
    _check_owner(out)


def check_out_file(
    out: Path, *, is_own: Callable[[Path], bool], contents: str, inputs: Inputs | None = None, option: str = "--out"
) -> None:
    """Refuse a file that is no earlier result of the same command, or that a cohort or run would take for its own.

    Args:
        out: the file, which need not be there.
        is_own: whether an existing file is such a result.
        contents: what is to be written, for messages.
        inputs: what the command reads.
        option: that named the file.

    Raises:
        UsageError: it is a folder, another file, or belongs to a cohort or a run.
    """
    inputs = inputs or Inputs()
    if out.is_dir():
        raise UsageError(f"{option} {out} is a folder; give the file to write")
    places = set(_places(out))
    if any(not places.isdisjoint(_places(path)) for path in inputs.files):
        raise UsageError(f"{option} {out} is a file of the cohort; choose another name")
    in_cohort = any(_places(folder)[0] == _places(out.parent)[0] for folder in inputs.folders)
    in_cohort = in_cohort or _holds_slides(out.parent, inputs)
    if in_cohort and (out.name.casefold() in inputs.names or out.suffix.lower() in inputs.suffixes):
        raise UsageError(f"{option} {out} would be taken for a part of a cohort; choose another name or folder")
    _check_owner(out, option)
    if (out.exists() or out.is_symlink()) and not is_own(out):
        raise UsageError(
            f"{option} {out}: the file is there and is no earlier {contents}, or was edited since; choose another "
            "name, or delete it"
        )


def _holds_slides(folder: Path, inputs: Inputs) -> bool:
    """Whether a folder looks like that of a cohort, of this one or another."""
    if any((folder / name).is_dir() for name in inputs.slide_folders):
        return True
    return any(Path(name).suffix.lower() in inputs.suffixes for name in visible_names(folder))


def path_below(folder: Path, name: str) -> Path:
    """Where a file that is called after a slide goes: below the folder, wherever the name would lead.

    Names of a cohort's table may be paths: their root is left out, and `..` becomes `__`.
    """
    path = Path(name)
    parts = path.parts[1:] if path.anchor else path.parts
    return folder.joinpath(*("__" if part == ".." else part for part in parts))


def check_outside_runs(out: Path) -> None:
    """Refuse a folder for a run that lies inside another run.

    Raises:
        UsageError: it does.
    """
    owner = _owner(out)
    if owner is not None and owner[2] == "run.json":
        raise UsageError(f"--out {out}: {owner[0]} is a run itself; choose a folder outside")


def _check_owner(out: Path, option: str = "--out") -> None:
    owner = _owner(out)
    if owner is not None and owner[1] in _OWNED[owner[2]]:
        raise UsageError(f"{option} {out} belongs to the run or sweep in {owner[0]}; choose another name or folder")


def _owner(out: Path) -> tuple[Path, str, str] | None:
    """The nearest run or sweep above a path, the name below it (case left out), and its mark."""
    path = Path(os.path.realpath(out))
    for name, folder in zip((path, *path.parents), path.parents, strict=False):
        for mark in _OWNED:
            if _is_ours(folder / mark):
                return folder, name.name.casefold(), mark
    return None


def _is_ours(mark: Path) -> bool:
    try:
        with mark.open("rb") as stream:
            return b"tilewise." in stream.read(_HEAD)
    except OSError:
        return False


def _places(path: Path) -> tuple[Path, ...]:
    """Where a path leads and where it lies, links followed and case left out, for some file systems know no case."""
    leads = os.path.realpath(path)
    lies = os.path.join(os.path.realpath(path.parent), path.name)  # noqa: PTH118 - beside realpath, which pathlib lacks
    return tuple(Path(place.casefold()) for place in (leads, lies))
