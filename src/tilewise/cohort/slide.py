"""The nouns of a cohort as it was found: slides, and the cohort they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Purpose = Literal["train", "predict"]


@dataclass(frozen=True)
class Slide:
    """One slide as the cohort's table and folders name it; no pixel was looked at.

    Attributes:
        slide_id: the table's own spelling (`img_0000.png`); a submission repeats it as it is. A slide without a row has
            its path below the folder of slides.
        path: of the image file.
        mask_path: of the mask's image file; None where there is none.
        label: of the table, in one spelling (`cohort.identifiers`); None for an unlabelled slide.
        group: what must never be split between parts (a patient, say); None where the table does not say.
        split: the part the table puts the slide in; None where it does not say.
        extra: the row's further columns by name.
    """

    slide_id: str
    path: Path
    mask_path: Path | None = None
    label: str | None = None
    group: str | None = None
    split: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


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

    @classmethod
    def discover(cls, path: Path | str, *, purpose: Purpose = "train") -> Cohort:
        """Find slides, masks and labels in a folder, or read them from a table.

        Args:
            path: a folder in one of the layouts of `tilewise.cohort.layouts`, or a CSV or Parquet table.
            purpose: `train` needs labels of at least two classes; `predict` takes the slides to be predicted, and
                labels only where they happen to be there.

        Raises:
            CohortError: no layout fits, two fit, or the table has faults; every fault is listed.
        """
        from tilewise.cohort.discover import discover

        return discover(Path(path), purpose)
