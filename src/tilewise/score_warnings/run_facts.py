"""What the warnings of a run follow from."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from tilewise.auditing.table import read_slides
from tilewise.errors import ArtifactError
from tilewise.execution import read_failures
from tilewise.folds import Folds
from tilewise.run_folder import RunFolder
from tilewise.segment.output import made_masks
from tilewise.shortcuts.find_shortcuts import Shortcuts
from tilewise.stain.record import StainRecord
from tilewise.store import read_json
from tilewise.tiles.tileset import TileSet


@dataclass(frozen=True, eq=False)
class RunFacts:
    """What the warnings of a run follow from, as its files hold it.

    Attributes:
        root: folder of the cohort.
        recipe: the resolved recipe, as JSON.
        encoder: how the encoder was made and run.
        slides: the audit's table of the slides that were kept.
        audit: what the audit says of the cohort as a whole: has_groups, inverted_masks, dropped, leakage, notes.
        tiles: what was cut.
        folds: the parts.
        cohort_warnings: of the discovery, about mistakes in the table.
        failed: slides that failed, which are named elsewhere.
        stain: which slides keep their own stain although they were to be normalised; '' where none does.
        masks: how masks were made, if they were; '' otherwise.
        outside: what was cut outside the masks; None where nothing was to be.
        shortcuts: what tells the label besides the tissue; None in runs of earlier versions.
        temperatures: of each fold, with heads of kind lda; empty otherwise.
    """

    root: Path
    recipe: Mapping[str, Any]
    encoder: Mapping[str, Any]
    slides: pd.DataFrame
    audit: Mapping[str, Any]
    tiles: TileSet
    folds: Folds
    cohort_warnings: tuple[str, ...] = ()
    failed: frozenset[str] = field(default_factory=frozenset)
    stain: str = ""
    masks: str = ""
    outside: TileSet | None = None
    shortcuts: Shortcuts | None = None
    temperatures: tuple[float, ...] = ()

    @classmethod
    def read(cls, folder: RunFolder) -> RunFacts:
        """Read the files of a run that was trained.

        Raises:
            ArtifactError: a file of the run is missing or damaged.
        """
        identity, folds = folder.read_identity(), Folds.read(folder.folds)
        slides, audit = read_slides(folder.slides)
        return cls(
            root=Path(str(identity["cohort"]["root"])),
            recipe=identity["recipe"],
            encoder=read_json(folder.environment, schema="tilewise.environment", version=1)["encoder"],
            slides=slides,
            audit=audit,
            tiles=TileSet.read(folder.tiles)[0],
            folds=folds,
            cohort_warnings=tuple(identity.get("warnings", ())),
            failed=frozenset(failure.item for failure in read_failures(folder.failures)),
            stain=StainRecord.read(folder.stain).sentence() if folder.stain.is_file() else "",
            masks=made_masks(folder.segment),
            outside=TileSet.read(folder.outside)[0] if folder.outside.is_file() else None,
            shortcuts=Shortcuts.read(folder.shortcuts) if folder.shortcuts.is_file() else None,
            temperatures=tuple(_temperatures(folder, len(folds.folds))),
        )

    @property
    def has_groups(self) -> bool:
        """Whether the table said which slides belong together."""
        return bool(self.audit.get("has_groups", True))


def _temperatures(folder: RunFolder, num_folds: int) -> Iterator[float]:
    """Of the folds' kept fits, as their `history.csv` has them."""
    for path in (folder.fold(number) / "history.csv" for number in range(num_folds)):
        try:
            with path.open(encoding="utf-8", newline="") as stream:
                best = [row for row in csv.DictReader(stream) if row.get("kept") == "1"]
            yield from (float(row["temperature"]) for row in best if row.get("temperature"))
        except (OSError, ValueError, csv.Error) as error:
            raise ArtifactError(
                f"{path} is missing or damaged ({error}); give the `tilewise train` command of the run again"
            ) from error
