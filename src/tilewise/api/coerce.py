"""What callers may give in more than one form, in the form that the rooms take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tilewise.recipe import Recipe, load_recipe
from tilewise.run_folder import RunFolder

if TYPE_CHECKING:
    from tilewise.cohort import Cohort
    from tilewise.cohort.slide import Purpose
    from tilewise.pipeline.run import Run


def to_cohort(cohort: Cohort | Path | str, *purposes: Purpose) -> Cohort:
    """A cohort, discovered as the first of the purposes that it serves: with labels (`train`), or slides alone."""
    from tilewise.cohort import Cohort
    from tilewise.cohort.cohort import discover_any

    return cohort if isinstance(cohort, Cohort) else discover_any(Path(cohort), purposes)


def to_folder(run: Run | Path | str) -> RunFolder:
    """The folder of a run."""
    return RunFolder(Path(run)) if isinstance(run, Path | str) else run.folder


def to_recipe(recipe: Recipe | str) -> Recipe:
    """A recipe, loaded by name or path."""
    return recipe if isinstance(recipe, Recipe) else load_recipe(recipe)


def to_path(path: Path | str | None) -> Path | None:
    """A path, where one is given."""
    return None if path is None else Path(path)
