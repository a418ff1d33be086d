"""A cohort as it was found: its layout is recognised, read, and checked as a whole."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from tilewise.cohort.assemble import AssembledSlides, assemble, assemble_files
from tilewise.cohort.faults import Faults, abbreviate
from tilewise.cohort.identifiers import identifier, typed_alike
from tilewise.cohort.label_tables import LabelTables
from tilewise.cohort.layouts import Source, find_layout, has_both_parts, table_source
from tilewise.cohort.missing import declared_classes, without_missing
from tilewise.cohort.slide import Purpose, Slide
from tilewise.cohort.table import TABLE_SUFFIXES
from tilewise.errors import ArgumentError, CohortError
from tilewise.wording import count

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Cohort:
    """Slides of one folder or table, before anything was audited.

    Attributes:
        root: the folder, or the table's folder.
        layout: which of the known layouts it has.
        slides: in the table's order, or sorted by id where a folder was listed.
        classes: the labels that occur, sorted.
        notes: what discovery took for what, in sentences.
        warnings: those of the notes that may be about a mistake in the table.
        declared: names of classes that `classes.txt` beside the table declares, whether slides have them or not.
        table: that the slides and labels were read from; None where folders were listed.
    """

    root: Path
    layout: str
    slides: tuple[Slide, ...]
    classes: tuple[str, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    declared: tuple[str, ...] = ()
    table: Path | None = None

    def __repr__(self) -> str:
        counts = Counter(slide.label for slide in self.slides)
        classes = ", ".join(f"{name} {counts[name]}" for name in self.classes)
        return f"<Cohort {self.root.name}: {count(len(self.slides), 'slide')}{f' ({classes})' if classes else ''}>"

    def _repr_html_(self) -> str:
        """A table of the classes and some thumbnails, for notebooks."""
        from tilewise.cohort.notebook import cohort_html

        return cohort_html(self.root.name, self.slides, self.classes)

    def to_frame(self) -> pd.DataFrame:
        """A row for each slide: slide, path, mask, label, group, split, and the table's further columns."""
        import pandas as pd

        rows = [
            {
                "slide": slide.slide_id,
                "path": str(slide.path),
                "mask": None if slide.mask_path is None else str(slide.mask_path),
                "label": slide.label,
                "group": slide.group,
                "split": slide.split,
            }
            for slide in self.slides
        ]
        further = [{name: value for name, value in slide.extra.items() if name not in rows[0]} for slide in self.slides]
        return pd.DataFrame([row | more for row, more in zip(rows, further, strict=True)])

    @classmethod
    def discover(cls, path: Path | str, *, purpose: Purpose = "train") -> Cohort:
        """Find slides, masks and labels in a folder, or read them from a table.

        Args:
            path: a folder in one of the layouts of `tilewise.cohort.layouts`, or a CSV or Parquet table.
            purpose: `train` needs labels of at least two classes; `predict` takes the slides to be predicted, and
                labels only where they happen to be there.

        Raises:
            CohortError: no layout fits, two fit, or the table has faults; every fault is listed.
            ArgumentError: `path` is no path, or there is no such purpose.

        Example:
            >>> tw.Cohort.discover("my_cohort")
            <Cohort my_cohort: 12 slides (A 6, B 6)>
        """
        if purpose not in get_args(Purpose):
            raise ArgumentError(f"purpose={purpose!r}: give one of {', '.join(map(repr, get_args(Purpose)))}")
        if not isinstance(path, str | os.PathLike):
            raise ArgumentError(f"path: expected the path of a folder or table, not {type(path).__name__}")
        path = Path(path).absolute()
        if path.is_dir():
            source = find_layout(path, purpose)
        elif not path.exists():
            raise CohortError(f"{path}: no such folder or table; correct the path")
        elif path.suffix.lower() in TABLE_SUFFIXES:
            source = table_source(path)
        else:
            raise CohortError(f"{path}: neither a folder nor a CSV or Parquet table; give the folder of the cohort")
        faults = Faults()
        return cls._checked(source, assemble(source, purpose, faults), purpose, faults)

    @classmethod
    def of_files(
        cls, root: Path, files: Mapping[str, Path], *, tables: LabelTables | None, purpose: Purpose, layout: str
    ) -> Cohort:
        """A cohort whose slides' files have names already, with the labels of a table.

        Args:
            root: folder of the files.
            files: name -> file.
            tables: of slides and labels; None where there are none.
            purpose: as in `discover`.
            layout: what the folder is called in reports.

        Raises:
            CohortError: the table has faults, or names none of the files.
        """
        faults = Faults()
        table = None if tables is None else Path(tables.labels)
        assembled = assemble_files(files, tables, purpose, faults, classes=declared_classes(root, table))
        return cls._checked(Source(layout, root.absolute(), table), assembled, purpose, faults)

    @classmethod
    def _checked(cls, source: Source, assembled: AssembledSlides, purpose: Purpose, faults: Faults) -> Cohort:
        declared = declared_classes(source.root, source.table)
        notes = [f"layout `{source.layout}`", *assembled.notes, *assembled.warnings]
        # The name of a folder is nobody's empty cell.
        named = {*declared, *(identifier(item.label) for item in source.classes)}
        slides = without_missing(assembled.slides, purpose, faults, notes, classes=named)
        classes = tuple(sorted({slide.label for slide in slides if slide.label is not None}))
        _check_spelling(slides, purpose, faults, notes)
        _check_scales(slides, faults)
        if purpose == "train":
            _check_labels(slides, classes, faults)
        place = source.table or source.root
        faults.raise_if_any(place)
        if not slides:
            raise CohortError(f"{place}: no slide was found; put image files there or name them in a table")
        notes += _summary(slides, classes, purpose)
        return cls(
            source.root, source.layout, slides, classes, tuple(notes), assembled.warnings, declared, source.table
        )


def discover_any(path: Path, purposes: Sequence[Purpose]) -> Cohort:
    """Discover a cohort as the first of the purposes that it serves.

    Where it has a table and does not serve to train, a warning says why not.

    Raises:
        CohortError: it serves none; the error is that of the first purpose.
    """
    first: CohortError | None = None
    for purpose in purposes:
        try:
            cohort = Cohort.discover(path, purpose=purpose)
        except CohortError as error:
            first = first or error
            continue
        # One of the challenge's two parts must not be looked at in the place of the other: its fault would go unheard.
        if first is not None and has_both_parts(cohort.layout, cohort.root):
            break
        if first is not None and purposes[0] == "train" and cohort.table is not None:
            warning = f"cannot be trained on as it is: {first}"
            cohort = replace(cohort, notes=(*cohort.notes, warning), warnings=(*cohort.warnings, warning))
        return cohort
    raise first or ValueError("no purpose was given")


def _check_labels(slides: Sequence[Slide], classes: Sequence[str], faults: Faults) -> None:
    labelled = [slide for slide in slides if slide.label is not None]
    if len(classes) >= 2 or not slides:
        return
    if not labelled:
        faults.add("classes", f"not one of {count(len(slides), 'slide')} has a label; fill the column `label`")
    else:
        faults.add(
            "classes",
            f"all {len(labelled)} labelled slides are `{classes[0]}`; training needs slides of at least 2 classes",
        )


def _check_scales(slides: Iterable[Slide], faults: Faults) -> None:
    for slide in slides:
        try:
            _ = slide.declared_mpp
        except ValueError as error:
            faults.add("scale", f"slide `{slide.slide_id}`: column `mpp`: {error}; give microns per pixel, or nothing")


def _check_spelling(slides: Iterable[Slide], purpose: Purpose, faults: Faults, notes: list[str]) -> None:
    """Labels and groups that differ only in how they are typed are surely meant to be one."""
    slides = list(slides)
    for field in ("label", "group"):
        spelled: dict[str, Counter[str]] = defaultdict(Counter)
        for slide in slides:
            value = getattr(slide, field)
            if value is not None:
                spelled[typed_alike(value)][value] += 1
        for values in spelled.values():
            if len(values) < 2:
                continue
            listed = " and ".join(f"`{value}` ({count(num, 'slide')})" for value, num in values.most_common())
            rare = values.most_common()[-1][0]
            example = next(slide.slide_id for slide in slides if getattr(slide, field) == rare)
            text = (
                f"{field}s {listed} differ only in case, spaces, zeros in front or letters that look alike, "
                f"`{rare}` at slide `{example}`; spell them alike"
            )
            if purpose == "train":
                faults.add("spelling", text)
            else:
                notes.append(text)


def _summary(slides: Sequence[Slide], classes: Sequence[str], purpose: Purpose) -> list[str]:
    counts = Counter(slide.label for slide in slides)
    listed = ", ".join(f"{name} {counts[name]}" for name in classes)
    num_slides = count(len(slides), "slide")
    notes = [f"{num_slides}, {count(len(classes), 'class')}: {listed}" if classes else f"{num_slides}, no labels"]
    groups = {slide.group for slide in slides} - {None}
    notes.append(
        count(len(groups), "group") if groups else "no groups (patients) named, so each slide is one of its own"
    )
    padded = [name for name in classes if name != name.strip()]
    if padded:
        notes.append(f"labels kept with the spaces around them: {', '.join(map(repr, padded))}")
    unlabelled = [slide.slide_id for slide in slides if slide.label is None]
    if unlabelled and classes:
        use = "kept, but not trained on" if purpose == "train" else "kept"
        notes.append(f"{count(len(unlabelled), 'slide')} without label {use}: {abbreviate(unlabelled)}")
    return notes
