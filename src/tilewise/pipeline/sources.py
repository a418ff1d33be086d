"""The finished runs that are combined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tilewise.ensemble.library import LibraryRun
from tilewise.errors import ArtifactError, UsageError
from tilewise.folds import Folds
from tilewise.inference.predictions import Predictions
from tilewise.recipe import Recipe, parse_recipe
from tilewise.run_folder import RunFolder
from tilewise.store import MANIFEST_NAME, digest_file, verify


@dataclass(frozen=True)
class Source:
    """One of the runs.

    Attributes:
        folder: where its files lie.
        identity: what it was made from, as in `run.json`.
        recipe: it was trained by.
        run: its folds and predictions.
    """

    folder: RunFolder
    identity: Mapping[str, Any]
    recipe: Recipe
    run: LibraryRun

    @property
    def name(self) -> str:
        """As short as tells it from the others."""
        return self.run.name


def sources_of(folders: Sequence[RunFolder]) -> list[Source]:
    """Read runs that are to be combined.

    Raises:
        UsageError: one is not finished, is named twice, or is combined of runs itself.
        ArtifactError: one is damaged.
    """
    sources = []
    for folder, name in zip(folders, run_names(folders), strict=True):
        identity = folder.require_finished()
        if "ensemble" in identity:
            raise UsageError(f"run {name} is combined of runs itself; name those runs instead")
        damaged = [item.path for item in verify(folder.root) if item.what != "unlisted"]
        if damaged:
            raise ArtifactError(
                f"run {name}: {damaged[0]} is missing or changed; give its `tilewise train` command again"
            )
        library = LibraryRun(name, Folds.read(folder.folds), Predictions.read(folder.predictions))
        sources.append(Source(folder, identity, parse_recipe(identity["recipe"], str(folder.identity)), library))
    return sources


def digests_of(sources: Sequence[Source]) -> dict[str, str]:
    """Run -> digest of its manifest, which holds those of all its files."""
    return {source.name: digest_file(source.folder.root / MANIFEST_NAME) for source in sources}


def run_names(folders: Sequence[RunFolder]) -> list[str]:
    """Names of runs' folders, with their parents' where two are the same.

    Raises:
        UsageError: a run is named twice.
    """
    roots = [folder.root.resolve() for folder in folders]
    twice = [root for root, num in Counter(roots).items() if num > 1]
    if twice:
        raise UsageError(f"run {twice[0].name} is named twice; name each run once")
    depth = 1
    while True:
        names = ["/".join(root.parts[-depth:]) for root in roots]
        if len(set(names)) == len(names):
            return names
        depth += 1
