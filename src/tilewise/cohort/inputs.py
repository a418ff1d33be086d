"""What of a cohort must not be written over, and what must not be put beside it."""

from __future__ import annotations

from typing import Final

from tilewise.cohort.cohort import Cohort
from tilewise.cohort.layouts import SLIDE_FOLDERS
from tilewise.cohort.missing import DECLARED_NAME
from tilewise.slides import SUFFIXES
from tilewise.store import Inputs

_TABLES: Final = frozenset({"cohort.csv", "cohort.parquet", "labels.csv", "train_labels.csv", "test_labels.csv"})


def inputs_of(*cohorts: Cohort) -> Inputs:
    """The cohorts' tables, slides and masks, for the checks of where results go."""
    slides = [slide for cohort in cohorts for slide in cohort.slides]
    files = [slide.path for slide in slides]
    files += [slide.mask_path for slide in slides if slide.mask_path is not None]
    files += [cohort.table for cohort in cohorts if cohort.table is not None]
    roots = [cohort.root for cohort in cohorts]
    # Of `cohort/test_data` the cohort's own folder is the one above.
    roots += [root.parent for root in roots if root.name in SLIDE_FOLDERS]
    return Inputs(
        files=tuple(files),
        folders=tuple(dict.fromkeys([*roots, *(path.parent for path in files)])),
        names=_TABLES | {DECLARED_NAME},
        suffixes=frozenset(SUFFIXES),
        slide_folders=SLIDE_FOLDERS,
        class_folders=tuple(cohort.root for cohort in cohorts if cohort.layout == "class folders"),
    )
