"""From a layout that fits to slides: rows meet files, files meet masks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tilewise.cohort.faults import Faults, abbreviate
from tilewise.cohort.files import Listing, MaskPairing, SlideFinder, mask_key, same_file
from tilewise.cohort.identifiers import identifier, same_name
from tilewise.cohort.label_tables import LabelTables, read_label_tables
from tilewise.cohort.layouts import ClassFolder, Source
from tilewise.cohort.slide import Purpose, Slide
from tilewise.cohort.table import Row, read_table
from tilewise.errors import CohortError
from tilewise.wording import count


@dataclass(frozen=True)
class AssembledSlides:
    """The slides of a source.

    Attributes:
        slides: in the table's order, or sorted by id where a folder was listed.
        notes: what was taken for what.
        warnings: names that the table spells in several ways.
    """

    slides: tuple[Slide, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def assemble(source: Source, purpose: Purpose, faults: Faults) -> AssembledSlides:
    """The slides of a source; faults of rows and files go to `faults`.

    Raises:
        CohortError: the source's table cannot be read at all.
    """
    return _Assembly(source, purpose, faults).run()


def assemble_files(
    files: Mapping[str, Path],
    tables: LabelTables | None,
    purpose: Purpose,
    faults: Faults,
    *,
    classes: Collection[str] = (),
) -> AssembledSlides:
    """Slides whose files have names already, with the rows of a table; rows without a file are warned of.

    Args:
        files: name -> file; the table may add a suffix to the name, or leave its folders out.
        tables: with labels; None where there are none.
        purpose: `train` needs labels.
        faults: where faults of rows go.
        classes: labels that are classes, however they are spelled.

    Raises:
        CohortError: the table cannot be read at all, or not one row has a file.
    """
    if tables is None:
        return AssembledSlides(tuple(Slide(name, path) for name, path in files.items()), (), ())
    table = read_label_tables(tables, need_label=purpose == "train", faults=faults, classes=classes)
    by_key: dict[str, list[Path]] = defaultdict(list)
    for name, path in files.items():
        for key in {same_name(name), same_name(name.rpartition("/")[2])}:
            by_key[key].append(path)
    slides: dict[Path, Slide] = {}
    missing = []
    for row in table.rows:
        file = next((paths[0] for key in _keys(row.slide) if len(paths := by_key.get(key, [])) == 1), None)
        if file is None:
            missing.append(row.slide)
        elif file in slides:
            first = slides[file].slide_id
            text = f"slides `{first}` and `{row.slide}` (line {row.line}) are both {file.name}; keep one row"
            faults.add("same file", text)
        else:
            slides[file] = Slide(row.slide, file, None, row.label, row.group, row.split, dict(row.extra))
    if not slides:
        faults.raise_if_any(table.path)
        kind, step = ("patient", "; give their slide table (--slide-table)") if table.of_patients else ("slide", "")
        raise CohortError(
            f"{table.path}: no {kind} of it has a file, the first: {missing[0]}; files are called "
            f"{abbreviate([*files])}{step}"
        )
    warnings = list(table.warnings)
    if missing:
        warnings.append(
            f"{count(len(missing), 'slide')} of {table.path.name} without a file take no part: {abbreviate(missing)}"
        )
    rest = [Slide(name, path) for name, path in files.items() if path not in slides]
    return AssembledSlides((*slides.values(), *rest), table.notes, tuple(warnings))


def _keys(name: str) -> Iterator[str]:
    """Names that a file of this slide may have: with and without suffix and folders, the nearest first."""
    for text in (name, name.replace("\\", "/").rpartition("/")[2]):
        plain = same_name(text)
        while plain:
            yield plain
            plain = plain.rpartition(".")[0] if "." in plain.rpartition("/")[2] else ""


class _Assembly:
    def __init__(self, source: Source, purpose: Purpose, faults: Faults) -> None:
        self.source = source
        self.purpose = purpose
        self.faults = faults
        self.notes = list(source.notes)
        self.warnings: list[str] = []
        self.finder = SlideFinder(source.bases)
        self.pairings: dict[Path, MaskPairing] = {}
        self.masks_named = False
        self.places: Counter[str] = Counter()

    def run(self) -> AssembledSlides:
        if self.source.classes:
            slides = [slide for item in self.source.classes for slide in self._of_class(item)]
            self._note_ignored([item.listing for item in self.source.classes])
        else:
            slides = self._of_rows_and_files()
        self._note_masks(slides)
        return AssembledSlides(tuple(slides), tuple(self.notes), tuple(self.warnings))

    def _of_class(self, item: ClassFolder) -> list[Slide]:
        return [
            Slide(name, path, self._paired(name, path), label=identifier(item.label), split=item.split)
            for path in item.listing.slides
            for name in [path.relative_to(self.source.root).as_posix()]
        ]

    def _of_rows_and_files(self) -> list[Slide]:
        rows = self._rows()
        if not self.source.listed:
            return [self._of_row(row, path) for row, path in rows]
        by_file = {same_file(path): row for row, path in rows}
        # Rows may name slides in folders below the one that is listed; those folders count as listed, too.
        folders = {listing.folder for listing in self.source.listed} | {path.parent for _, path in rows}
        listings = [self.finder.listing(folder) for folder in sorted(folders)]
        self._note_ignored(listings)
        slides = []
        for path in (path for listing in listings for path in listing.images):
            row = by_file.get(same_file(path))
            if row is not None:
                slides.append(self._of_row(row, path))
            elif mask_key(path) is None:
                name = path.relative_to(self.source.listed[0].folder).as_posix()
                slides.append(Slide(name, path, self._paired(name, path)))
        return slides

    def _rows(self) -> list[tuple[Row, Path]]:
        if self.source.table is None:
            return []
        table = read_table(self.source.table, need_label=self.purpose == "train", faults=self.faults)
        self.notes += table.notes
        self.warnings += table.warnings
        self.masks_named = "mask" in table.roles
        missing: list[str] = []
        row_by_file: dict[str, tuple[Row, Path]] = {}
        for row in table.rows:
            path = self.finder.find(row.slide)
            if isinstance(path, str):
                missing.append(f"slide `{row.slide}` (line {row.line}): {path}")
                continue
            known = row_by_file.setdefault(same_file(path), (row, path))
            if known[0] is not row:
                self.faults.add(
                    "same file",
                    f"slides `{known[0].slide}` (line {known[0].line}) and `{row.slide}` (line {row.line}) are both "
                    f"the file {path.name}; keep one row",
                )
        self._report_missing(missing)
        self.notes += self.finder.notes()
        return list(row_by_file.values())

    def _report_missing(self, missing: list[str]) -> None:
        if missing and self.purpose == "predict" and self.source.listed:
            # The slides to predict are those of the folder; labels are a bonus.
            self.notes.append(f"{len(missing)} labels without a slide passed over, the first: {missing[0]}")
            return
        for text in missing:
            self.faults.add("no file", text)

    def _of_row(self, row: Row, path: Path) -> Slide:
        mask = self._named_mask(row, row.mask) if row.mask is not None else None
        if not self.masks_named:
            mask = self._paired(row.slide, path)
        return Slide(row.slide, path, mask, row.label, row.group, row.split, dict(row.extra))

    def _named_mask(self, row: Row, name: str) -> Path | None:
        path = self.finder.find_mask(name)
        if isinstance(path, str):
            self.faults.add("no mask file", f"slide `{row.slide}` (line {row.line}): its mask {row.mask}: {path}")
            return None
        self.places["from the column `mask`"] += 1
        return path

    def _paired(self, slide_id: str, path: Path) -> Path | None:
        folder = path.parent
        if folder not in self.pairings:
            self.pairings[folder] = MaskPairing(self.finder.listing(folder), self.finder.listing)
        mask = self.pairings[folder].mask_of(slide_id, path, self.faults)
        if mask is not None:
            beside = mask.parent == folder
            self.places["beside them, by name" if beside else f"from {mask.parent.name}/, by name"] += 1
        return mask

    def _note_masks(self, slides: list[Slide]) -> None:
        for place, num in self.places.items():
            self.notes.append(f"masks of {num} of {count(len(slides), 'slide')} {place}")
        without = [slide.slide_id for slide in slides if slide.mask_path is None]
        if without and len(without) == len(slides):
            self.notes.append("no masks: none is named in a table, beside a slide, or in masks/")
        elif without:
            self.notes.append(f"{count(len(without), 'slide')} without a mask: {abbreviate(without)}")
        unused = [path.name for pairing in self.pairings.values() for path in pairing.unused()]
        if unused:
            self.notes.append(f"{count(len(unused), 'mask')} of no slide: {abbreviate(unused)}")

    def _note_ignored(self, listings: list[Listing]) -> None:
        ignored: dict[str, list[str]] = defaultdict(list)
        for listing in listings:
            here = f"{listing.folder.name}/"
            ignored[here] += [path.name for path in listing.ignored if path != self.source.table]
        for here, names in ignored.items():
            if names:
                self.notes.append(
                    f"{count(len(names), 'file')} in {here} ignored, having no image's suffix: {abbreviate(names)}"
                )
