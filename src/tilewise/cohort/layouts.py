"""The layouts a cohort's folder may have, and which one it has.

- `table`: `cohort.csv` or `cohort.parquet` in the folder, or a table given itself; wins over all others.
- `contract`: `train_data/` with `train_labels.csv` beside it, and `test_data/` to predict.
- `images`: `images/`, `labels.csv` and, where there are masks, `masks/`.
- `flat`: `labels.csv` beside the slides, or naming them by paths below the folder; to predict, only the slides.
- `class folders`: one sub-folder of slides per class, or these below `train/`, `test/` and the like.

Masks are named in a table, or found by name beside the slides or in `masks/` (see `files.MaskPairing`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tilewise.cohort.faults import Faults, abbreviate
from tilewise.cohort.files import Listing, SlideFinder, list_folder
from tilewise.cohort.slide import Purpose
from tilewise.cohort.table import TABLE_SUFFIXES, read_table
from tilewise.errors import CohortError
from tilewise.wording import count

SLIDE_FOLDERS: Final = ("images", "train_data", "test_data")
_RESERVED: Final = frozenset({*SLIDE_FOLDERS, "masks"})
_SPLITS: Final = frozenset({"train", "training", "val", "valid", "validation", "test", "testing", "holdout"})


@dataclass(frozen=True)
class ClassFolder:
    """A folder of slides that all have one label."""

    listing: Listing
    label: str
    split: str | None


@dataclass(frozen=True)
class Source:
    """A layout that fits.

    Attributes:
        layout: its name.
        root: the folder slide ids are relative to.
        table: with labels, or with everything; None where there is none.
        bases: folders in which the table's slides are looked for.
        listed: folders whose slides count even without a row. Empty: only rows are slides.
        classes: folders whose name is the label.
        notes: what was taken for what.
    """

    layout: str
    root: Path
    table: Path | None = None
    bases: tuple[Path, ...] = ()
    listed: tuple[Listing, ...] = ()
    classes: tuple[ClassFolder, ...] = ()
    notes: tuple[str, ...] = ()


Fit = Source | str


def table_source(path: Path) -> Source:
    """A table that was given or found; what it names lies beside it, or in a folder of slides below.

    `train_labels.csv` is of the slides in `train_data/`, whatever other folders hold.
    """
    folder = path.parent
    own = folder / f"{path.stem.removesuffix('_labels')}_data"
    below = [own] if path.stem.endswith("_labels") and own.is_dir() else [folder / name for name in SLIDE_FOLDERS]
    bases = [folder, *(path for path in below if path.is_dir())]
    return Source("table", folder, path, tuple(bases), notes=(f"slides and labels from {path.name}",))


def has_both_parts(layout: str, folder: Path) -> bool:
    """Whether a folder of the challenge's layout holds slides to train on, and others to predict."""
    return layout == "contract" and all((folder / part).is_dir() for part in ("train_data", "test_data"))


def find_layout(folder: Path, purpose: Purpose) -> Source:
    """The one layout that fits the folder.

    Raises:
        CohortError: none fits, or more than one; says why for each.
    """
    tables = [path for name in ("cohort.csv", "cohort.parquet") if (path := folder / name).is_file()]
    if len(tables) > 1:
        raise CohortError(
            f"{folder}: both cohort.csv and cohort.parquet are there; delete one, or give the one you mean"
        )
    if tables:
        return table_source(tables[0])
    fits = {name: probe(folder, purpose) for name, probe in _PROBES.items()}
    sources = [fit for fit in fits.values() if isinstance(fit, Source)]
    if len(sources) == 1:
        return sources[0]
    if sources:
        listed = "; ".join(map(_described, sources))
        raise CohortError(
            f"{folder}: more than one layout fits: {listed}. Give the folder or table you mean, or write a cohort.csv "
            "(slide,mask,label,group,split), which wins over the others"
        )
    if (folder / "run.json").is_file():
        raise CohortError(f"{folder} is the folder of a run; give the folder of its slides, which run.json names")
    tried = "\n".join(f"  - {name}: {reason}" for name, reason in fits.items())
    raise CohortError(
        f"{folder}: no layout of a cohort fits to {purpose} on. Tried:\n"
        f"  - table: no cohort.csv or cohort.parquet\n{tried}\nNext: {_next_step(folder, purpose)}"
    )


def _is_cohort(folder: Path, purpose: Purpose) -> bool:
    tables = (folder / "cohort.csv", folder / "cohort.parquet")
    return any(table.is_file() for table in tables) or any(
        isinstance(probe(folder, purpose), Source) for probe in _PROBES.values()
    )


def _contract(folder: Path, purpose: Purpose) -> Fit:
    part = "train" if purpose == "train" else "test"
    data, labels = folder / f"{part}_data", folder / f"{part}_labels.csv"
    listing = list_folder(data)
    if not data.is_dir():
        return f"no folder {data.name}/"
    if not listing.slides:
        return f"{data.name}/ holds no image files"
    if purpose == "predict":
        return _with_optional_labels("contract", folder, listing, labels)
    if not labels.is_file():
        return f"{data.name}/ is there, but {labels.name} is missing"
    notes = [f"slides from {data.name}/, labels from {labels.name}"]
    num_test = len(list_folder(folder / "test_data").slides)
    if num_test:
        notes.append(f"test_data/ holds {count(num_test, 'slide')}, left for prediction")
    return _labelled(Source("contract", folder, labels, (data,), (listing,), notes=tuple(notes)))


def _images(folder: Path, purpose: Purpose) -> Fit:
    listing = list_folder(folder / "images")
    if not listing.folder.is_dir():
        return "no folder images/"
    if not listing.slides:
        return "images/ holds no image files"
    labels = folder / "labels.csv"
    if purpose == "predict":
        return _with_optional_labels("images", folder, listing, labels)
    if not labels.is_file():
        return f"images/ is there, but labels.csv is missing{_other_tables(folder)}"
    notes = ("slides from images/, labels from labels.csv",)
    return _labelled(Source("images", folder, labels, (listing.folder,), (listing,), notes=notes))


def _flat(folder: Path, purpose: Purpose) -> Fit:
    listing, labels = list_folder(folder), folder / "labels.csv"
    if purpose == "predict":
        if not listing.slides:
            return "no image files right in the folder"
        return _with_optional_labels("flat", folder, listing, labels)
    if not labels.is_file():
        return f"labels.csv is missing{_other_tables(folder)}"
    return _labelled(Source("flat", folder, labels, (folder,), (listing,), notes=("labels from labels.csv",)))


def _class_folders(folder: Path, purpose: Purpose) -> Fit:
    here = list_folder(folder)
    if (folder / "labels.csv").is_file():
        return "labels.csv is there, so folder names are not taken for labels"
    reserved = [path.name for path in here.folders if path.name in _RESERVED and list_folder(path).images]
    if set(reserved) - {"masks"}:
        return f"{reserved[0]}/ is there, so folder names are not taken for labels"
    if here.slides and purpose == "predict":
        return "there are image files right in the folder"
    classes = _classes_below(here.folders, None)
    splits = [path for path in here.folders if path.name.casefold() in _SPLITS]
    if splits and not classes:
        classes = [item for path in splits for item in _classes_below(list_folder(path).folders, path.name)]
    labels = sorted({item.label for item in classes})
    if len(labels) < 2:
        return f"{len(labels)} sub-folders with image files, at least 2 are needed"
    notes = [f"labels from the names of folders: {', '.join(labels)}"]
    if any(item.split for item in classes):
        notes.append(f"parts from the names of the folders above: {', '.join(path.name for path in splits)}")
    if here.images:
        notes.append(f"ignored right in the folder: {abbreviate([path.name for path in here.images])}")
    return Source("class folders", folder, classes=tuple(classes), notes=tuple(notes))


_PROBES: Final[dict[str, Callable[[Path, Purpose], Fit]]] = {
    "contract": _contract,
    "images": _images,
    "flat": _flat,
    "class folders": _class_folders,
}


def _classes_below(folders: tuple[Path, ...], split: str | None) -> list[ClassFolder]:
    listings = [list_folder(path) for path in folders if path.name not in _RESERVED]
    return [ClassFolder(listing, listing.folder.name, split) for listing in listings if listing.slides]


def _labelled(source: Source) -> Fit:
    """The source where its table names at least one of its slides; a table at fault is judged later, not here."""
    names = _names_in(source.table) if source.table is not None else []
    finder = SlideFinder(source.bases)
    num_slides = sum(len(listing.slides) for listing in source.listed)
    if (not names and num_slides) or any(finder.finds(name) for name in names):
        return source
    where = "/".join(path.name for path in source.bases)
    called = f" (they are called {source.listed[0].slides[0].name}, say)" if num_slides else ""
    table = source.table.name if source.table is not None else "no table"
    named_slides = f", it says {abbreviate(names, most=2)}" if names else ""
    return f"{table} names none of the {num_slides} image files in {where}/{called}{named_slides}"


def _with_optional_labels(layout: str, folder: Path, listing: Listing, labels: Path) -> Source:
    plain = Source(layout, folder, listed=(listing,), notes=(f"slides from {listing.folder.name}/",))
    if not labels.is_file():
        return plain
    notes = (*plain.notes, f"labels from {labels.name}")
    fit = _labelled(replace(plain, table=labels, bases=(listing.folder,), notes=notes))
    return fit if isinstance(fit, Source) else replace(plain, notes=(*plain.notes, f"labels not used: {fit}"))


def _names_in(path: Path) -> list[str]:
    try:
        return [row.slide for row in read_table(path, need_label=False, faults=Faults()).rows]
    except CohortError:
        return []


def _other_tables(folder: Path) -> str:
    others = [path.name for path in list_folder(folder).ignored if path.suffix.lower() in TABLE_SUFFIXES]
    return f" ({abbreviate(others)} is there: rename it, or give it instead of the folder)" if others else ""


def _described(source: Source) -> str:
    table = "" if source.table is None else f" with {source.table.name}"
    folders = [listing.folder.name for listing in source.listed] or [
        item.listing.folder.name for item in source.classes
    ]
    return f"`{source.layout}` ({abbreviate([f'{name}/' for name in folders])}{table})"


def _next_step(folder: Path, purpose: Purpose) -> str:
    above = folder.parent
    if folder.name in {"images", "train_data", "test_data", "masks"}:
        return f"perhaps you mean the folder above, {above}"
    if next(folder.rglob("*.h5"), None) is not None:
        return "features of another program go to `tilewise train FOLDER --labels TABLE`; other commands take slides"
    below = [path.name for path in list_folder(folder).folders if _is_cohort(path, purpose)]
    if below:
        return f"give a folder below it that is a cohort: {abbreviate(below)}"
    if purpose == "predict":
        return "put the slides right into the folder, or give a table with a column `slide`"
    return "bring the folder into one of these layouts, or give a table with the columns slide,mask,label,group,split"
