"""Discover a cohort: find its layout, read it, and check it as a whole."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from tilewise.cohort.assemble import assemble
from tilewise.cohort.faults import Faults, some
from tilewise.cohort.identifiers import identifier, typed_alike
from tilewise.cohort.layouts import find_layout, has_both_parts, table_source
from tilewise.cohort.missing import declared_classes, without_missing
from tilewise.cohort.slide import Cohort, Purpose, Slide
from tilewise.cohort.table import TABLE_SUFFIXES
from tilewise.errors import CohortError


def discover(path: Path, purpose: Purpose) -> Cohort:
    """As `Cohort.discover`.

    Raises:
        CohortError: no layout fits, two fit, or slides or labels are at fault.
    """
    path = path.absolute()
    if path.is_dir():
        source = find_layout(path, purpose)
    elif not path.exists():
        raise CohortError(f"{path}: no such folder or table; correct the path")
    elif path.suffix.lower() in TABLE_SUFFIXES:
        source = table_source(path)
    else:
        raise CohortError(f"{path}: neither a folder nor a CSV or Parquet table; give the folder of the cohort")
    faults = Faults()
    assembled = assemble(source, purpose, faults)
    declared = declared_classes(source.root)
    said = [f"layout `{source.layout}`", *assembled.notes, *assembled.warnings]
    # The name of a folder is nobody's empty cell.
    named = {*declared, *(identifier(item.label) for item in source.classes)}
    slides = without_missing(assembled.slides, purpose, faults, said, classes=named)
    classes = tuple(sorted({slide.label for slide in slides if slide.label is not None}))
    _check_spelling(slides, purpose, faults, said)
    if purpose == "train":
        _check_labels(slides, classes, faults)
    faults.raise_if_any(source.table or path)
    if not slides:
        raise CohortError(f"{path}: no slide was found; put image files there or name them in a table")
    said += _summary(slides, classes, purpose)
    return Cohort(source.root, source.layout, slides, classes, tuple(said), assembled.warnings, declared, source.table)


def discover_any(path: Path, purposes: Sequence[Purpose]) -> Cohort:
    """Discover a cohort as the first of the purposes that it serves.

    Raises:
        CohortError: it serves none; what hinders the first is told.
    """
    first: CohortError | None = None
    for purpose in purposes:
        try:
            found = discover(path, purpose)
        except CohortError as error:
            first = first or error
            continue
        # One of the challenge's two parts must not be looked at in the place of the other: its fault would go unheard.
        if first is not None and has_both_parts(found.layout, found.root):
            break
        return found
    raise first or ValueError("no purpose was given")


def _check_labels(slides: Sequence[Slide], classes: Sequence[str], faults: Faults) -> None:
    labelled = [slide for slide in slides if slide.label is not None]
    if len(classes) >= 2 or not slides:
        return
    if not labelled:
        faults.add("classes", f"not one of {len(slides)} slides has a label; fill the column `label`")
    else:
        faults.add(
            "classes",
            f"all {len(labelled)} labelled slides are `{classes[0]}`; training needs slides of at least 2 classes",
        )


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
            listed = " and ".join(f"`{value}` ({num} slides)" for value, num in values.most_common())
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
    said = [
        f"{len(slides)} slides, {len(classes)} classes: {listed}" if classes else f"{len(slides)} slides, no labels"
    ]
    groups = {slide.group for slide in slides} - {None}
    said.append(f"{len(groups)} groups" if groups else "no groups (patients) named, so each slide is one of its own")
    padded = [name for name in classes if name != name.strip()]
    if padded:
        said.append(f"labels kept with the spaces around them: {', '.join(map(repr, padded))}")
    unlabelled = [slide.slide_id for slide in slides if slide.label is None]
    if unlabelled and classes:
        use = "kept, but not trained on" if purpose == "train" else "kept"
        said.append(f"{len(unlabelled)} slides without label {use}: {some(unlabelled)}")
    return said
