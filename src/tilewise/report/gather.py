"""Read a run's folder and write its report; everything comes from disk, so it can be written again at any time."""

from __future__ import annotations

import contextlib
import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from tilewise.audit.cohort import NO_GROUPS
from tilewise.audit.table import read_findings, read_slides
from tilewise.errors import ArtifactError, SlideError
from tilewise.execution import read_failures
from tilewise.folds import PART_NAMES, Folds
from tilewise.inference.predictions import Predictions
from tilewise.report.caveats import Facts, caveats
from tilewise.report.choose import confident_errors, example_slides
from tilewise.report.data import (
    AuditSummary,
    CohortSummary,
    DecisionRow,
    Epoch,
    FailureRow,
    History,
    PartSummary,
    ReportInput,
    SlideResult,
    TileSummary,
)
from tilewise.report.describe import describe_layout, overlapping
from tilewise.report.render import render_report
from tilewise.report.text import without_folders
from tilewise.report.thumbnail import thumbnail
from tilewise.report.tiles_words import describe_tiling
from tilewise.runs import RunFolder
from tilewise.segment.output import made_masks
from tilewise.stain.record import StainRecord
from tilewise.store import read_json, write_text
from tilewise.tiles.config import TileConfig
from tilewise.tiles.tileset import TileSet
from tilewise.tiles.window import Boxes
from tilewise.version import __version__

_SHOWN_PER_CLASS = 3
_SHOWN_ERRORS = 8


def write_report(folder: RunFolder, *, out: Path | None = None) -> Path:
    """Write the report of a run into its folder, or to `out`; returns where.

    Raises:
        ArtifactError: the folder holds no finished run.
    """
    path = out or folder.report
    write_text(path, render_report(gather(folder)))
    return path


def gather(folder: RunFolder) -> ReportInput:
    """Everything the report says, from the run's files.

    Raises:
        ArtifactError: a file of the run is missing or damaged.
    """
    identity = folder.read_identity()
    recipe = identity["recipe"]
    evaluation = read_json(folder.evaluation, schema="tilewise.evaluation", version=1)
    environment = read_json(folder.environment, schema="tilewise.environment", version=1)
    folds = Folds.read(folder.folds)
    tiles, _ = TileSet.read(folder.tiles)
    slides, meta = read_slides(folder.audit / "slides.parquet")
    predictions = Predictions.read(folder.predictions).table
    boxes = tiles.boxes()
    examples = _with_pictures(example_slides(predictions, folds.classes, per_class=_SHOWN_PER_CLASS), slides, boxes)
    errors = _with_pictures(confident_errors(predictions, most=_SHOWN_ERRORS), slides, boxes)
    shown = (*examples, *errors)
    root, has_groups = str(identity["cohort"]["root"]), bool(meta.get("has_groups", True))
    facts = Facts(
        root=Path(root),
        encoder=environment["encoder"],
        split_from=recipe["folds"]["from"],
        has_groups=has_groups,
        slides=slides,
        tiles=tiles,
        folds=folds,
        num_lost=sum(result.picture is None for result in shown),
        stain=StainRecord.read(folder.stain).sentence() if folder.stain.is_file() else "",
        masks=made_masks(folder.segment),
    )
    return ReportInput(
        title=Path(root).name,
        run=folder.root.resolve().name,
        recipe=str(recipe["name"]),
        encoder=str(recipe["encoder"]["name"]),
        evaluation=evaluation,
        cohort=_cohort(identity, slides, has_groups=has_groups),
        audit=_audit(
            folder,
            str(meta["leakage"]),
            grouped=has_groups or bool(slides["group"].duplicated().any()),
            root=root,
            fallback=str(recipe["tiles"]["fallback"]),
        ),
        tiles=TileSummary(
            tiles.counts(),
            tiles.skipped,
            tiles.fallbacks,
            describe_tiling(TileConfig.model_validate(recipe["tiles"])),
            overlap=any(overlapping(boxes[result.slide]) for result in shown),
        ),
        parts=_parts(folds),
        fold_notes=folds.notes,
        histories=tuple(_history(folder.fold(number), number) for number in range(len(folds.folds))),
        slides=examples,
        confident_errors=errors,
        warnings=caveats(facts),
        recipe_yaml=without_folders(_text(folder.recipe), root),
        environment=_public({key: value for key, value in environment.items() if not key.startswith("schema")}, root),
        failures=_failures(folder.failures, root),
        version=__version__,
        seed=int(identity["seed"]),
        created=str(identity.get("created", "")),
    )


def _cohort(identity: Mapping[str, Any], slides: pd.DataFrame, *, has_groups: bool) -> CohortSummary:
    root, notes = str(identity["cohort"]["root"]), [str(note) for note in identity["notes"]]
    labelled = slides[slides["label"].notna()]
    return CohortSummary(
        root=Path(root).name,
        layout=describe_layout(str(identity["cohort"]["layout"]), notes),
        slides={str(name): int(num) for name, num in labelled["label"].value_counts().sort_index().items()},
        groups={str(name): int(num) for name, num in labelled.groupby("label")["group"].nunique().items()},
        num_unlabelled=int(slides["label"].isna().sum()),
        num_groups=int(slides["group"].nunique()),
        notes=tuple(without_folders(note, root) for note in notes if not note.startswith("layout ")),
        has_groups=has_groups,
    )


def _audit(folder: RunFolder, leakage: str, *, grouped: bool, root: str, fallback: str) -> AuditSummary:
    findings = read_findings(folder.audit / "findings.parquet")
    path = folder.audit / "decisions.csv"
    with _whole(path):
        decisions = tuple(
            DecisionRow(
                row["slide"],
                row["finding"],
                row["decision"],
                without_folders(row["reason"], root),
                row["author"],
                row["value"],
            )
            for row in _rows(path)
        )
    # That there are no groups stands among the warnings; where nothing shares one, no more is left to say.
    said = leakage.removesuffix(NO_GROUPS).strip() if grouped else ""
    return AuditSummary(dict(sorted(Counter(findings["kind"]).items())), decisions, said, fallback)


def _parts(folds: Folds) -> tuple[PartSummary, ...]:
    items = {item.slide_id: item for item in folds.items}

    def summary(fold: int | None, part: str, names: Iterable[str]) -> PartSummary:
        members = [items[name] for name in names]
        counts = Counter(str(item.label) for item in members)
        return PartSummary(
            fold, part, {name: counts[name] for name in folds.classes}, len({item.group_key for item in members})
        )

    parts = [summary(number, name, fold.part(name)) for number, fold in enumerate(folds.folds) for name in PART_NAMES]
    return (*parts, summary(None, "holdout", folds.holdout)) if folds.holdout else tuple(parts)


def _history(folder: Path, number: int) -> History:
    path = folder / "history.csv"
    with _whole(path):
        rows = _rows(path)
        epochs = tuple(
            Epoch(
                int(row["epoch"]),
                float(row["train_loss"]),
                _float(row["select_loss"]),
                _float(row["select_macro_f1"]),
            )
            for row in rows
        )
        kept = next((int(row["epoch"]) for row in rows if row["kept"] == "1"), None)
    return History(number, epochs, kept)


def _float(cell: str) -> float | None:
    return float(cell) if cell else None


def _with_pictures(
    results: Iterable[SlideResult], slides: pd.DataFrame, boxes: Mapping[str, Boxes]
) -> tuple[SlideResult, ...]:
    """The same results with pictures, as far as the slides are where the run found them."""
    rows = {str(row["slide"]): row for row in slides.to_dict("records")}
    drawn = []
    for result in results:
        picture = None
        with contextlib.suppress(SlideError):
            picture = thumbnail(rows[result.slide], boxes[result.slide])
        drawn.append(replace(result, picture=picture))
    return tuple(drawn)


def _failures(path: Path, root: str) -> tuple[FailureRow, ...]:
    with _whole(path):
        failures = read_failures(path)
    return tuple(FailureRow(item.item, item.stage, without_folders(item.message, root)) for item in failures)


def _public(value: Any, root: str) -> Any:
    """The same data without absolute paths in its texts."""
    if isinstance(value, Mapping):
        return {key: _public(item, root) for key, item in value.items()}
    if isinstance(value, list):
        return [_public(item, root) for item in value]
    return without_folders(value, root) if isinstance(value, str) else value


def _text(path: Path) -> str:
    with _whole(path):
        return path.read_text("utf-8")


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Say which file of the run is missing or damaged, and what makes it again."""
    try:
        yield
    except (OSError, UnicodeDecodeError, KeyError, ValueError, TypeError, csv.Error) as error:
        raise ArtifactError(
            f"{path} is missing or damaged ({error!r}); give the `tilewise train` command of the run again: it makes "
            "what is not there and keeps the rest"
        ) from error
