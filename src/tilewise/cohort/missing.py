"""Cells that some program filled in where there was nothing: `nan`, `NA`, `None`, `-`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

from tilewise.cohort.csv_lines import read_text
from tilewise.cohort.faults import Faults, abbreviate
from tilewise.cohort.identifiers import means_missing, same_name
from tilewise.cohort.slide import Purpose, Slide
from tilewise.wording import count

DECLARED_NAME: Final = "classes.txt"
Field = Literal["label", "group"]


def declared_classes(root: Path, table: Path | None) -> tuple[str, ...]:
    """Names of classes in `classes.txt` in the cohort's folder or beside its table, one a line; none without one.

    Raises:
        CohortError: the file cannot be read.
    """
    folders = [root] if table is None else [root, table.absolute().parent]
    paths = [path for folder in dict.fromkeys(folders) if (path := folder / DECLARED_NAME).is_file()]
    lines = [line for path in paths for line in read_text(path).splitlines()]
    return tuple(dict.fromkeys(name for line in lines if (name := same_name(line))))


def without_missing(
    slides: Iterable[Slide], purpose: Purpose, faults: Faults, notes: list[str], *, classes: Collection[str]
) -> tuple[Slide, ...]:
    """The slides, where labels and groups that may spell a missing value are faults to train on, and none to predict.

    Args:
        slides: of the cohort.
        purpose: what they are for.
        faults: where faults go.
        notes: where it is said that a label or group was taken for none.
        classes: labels that are classes, however they are spelled.
    """
    slides = tuple(slides)
    fields: tuple[Field, ...] = ("label", "group")
    for field in fields:
        known = classes if field == "label" else ()
        spelled: dict[str, list[str]] = defaultdict(list)
        for slide in slides:
            value = getattr(slide, field)
            if value is not None and means_missing(value) and value not in known:
                spelled[value].append(slide.slide_id)
        for value, names in spelled.items():
            if purpose == "train":
                faults.add("missing", _question(field, value, names))
            else:
                notes.append(f"{field} `{value}` of {count(len(names), 'slide')} taken for none: {abbreviate(names)}")
        empty: dict[str, Any] = {field: None}
        slides = tuple(replace(slide, **empty) if getattr(slide, field) in spelled else slide for slide in slides)
    return slides


def _question(field: Field, value: str, names: list[str]) -> str:
    step = (
        f"if it is a class, write its name into a file {DECLARED_NAME} beside the table"
        if field == "label"
        else "if it is a group, write it otherwise"
    )
    return (
        f"{field} `{value}` ({count(len(names), 'slide')}: {abbreviate(names)}) may mean that there is none; then "
        f"empty these cells; {step}"
    )
