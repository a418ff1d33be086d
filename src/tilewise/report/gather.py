"""Read a run's folder and write its report; everything comes from disk, so it can be written again at any time."""

from __future__ import annotations

import contextlib
import csv
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from tilewise.audit.table import read_findings, read_slides
from tilewise.errors import ArtifactError, SlideError
from tilewise.folds import PART_NAMES, Folds
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
from tilewise.report.render import render_report
from tilewise.report.thumbnail import thumbnail
from tilewise.runs import RunFolder
from tilewise.store import read_json, write_text
from tilewise.tiles.tileset import TileSet
from tilewise.tiles.window import Boxes

_SHOWN_PER_CLASS = 3
_SHOWN_ERRORS = 8
_ENCODER_RANDOM = "random"


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
    predictions = pd.read_parquet(folder.predictions)
    boxes = tiles.boxes()
    examples = _with_pictures(example_slides(predictions, folds.classes, per_class=_SHOWN_PER_CLASS), slides, boxes)
    errors = _with_pictures(confident_errors(predictions, most=_SHOWN_ERRORS), slides, boxes)
    lost = sum(result.picture is None for result in (*examples, *errors))
    return ReportInput(
        title=Path(str(identity["cohort"]["root"])).name,
        run=folder.root.name,
        recipe=str(recipe["name"]),
        encoder=str(recipe["encoder"]["name"]),
        evaluation=evaluation,
        cohort=_cohort(identity, slides),
        audit=_audit(folder, str(meta["leakage"])),
        tiles=TileSummary(tiles.counts(), tiles.skipped, tiles.fallbacks, _describe_tiles(recipe["tiles"])),
        parts=_parts(folds),
        fold_notes=folds.notes,
        histories=tuple(_history(folder.fold(number), number) for number in range(len(folds.folds))),
        slides=examples,
        confident_errors=errors,
        warnings=_warnings(environment, folds, lost),
        recipe_yaml=folder.recipe.read_text("utf-8"),
        environment={key: value for key, value in environment.items() if not key.startswith("schema")},
        failures=_failures(folder.failures),
    )


def _cohort(identity: Mapping[str, Any], slides: pd.DataFrame) -> CohortSummary:
    labelled = slides[slides["label"].notna()]
    return CohortSummary(
        root=str(identity["cohort"]["root"]),
        layout=str(identity["cohort"]["layout"]),
        slides={str(name): int(num) for name, num in labelled["label"].value_counts().sort_index().items()},
        groups={str(name): int(num) for name, num in labelled.groupby("label")["group"].nunique().items()},
        num_unlabelled=int(slides["label"].isna().sum()),
        num_groups=int(slides["group"].nunique()),
        notes=tuple(str(note) for note in identity["notes"]),
    )


def _audit(folder: RunFolder, leakage: str) -> AuditSummary:
    findings = read_findings(folder.audit / "findings.parquet")
    with (folder.audit / "decisions.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    decisions = tuple(
        DecisionRow(row["slide"], row["finding"], row["decision"], row["reason"], row["author"]) for row in rows
    )
    return AuditSummary(dict(sorted(Counter(findings["kind"]).items())), decisions, leakage)


def _describe_tiles(config: Mapping[str, Any]) -> str:
    stride = config["stride_px"] or config["size_px"]
    step = f", stride {stride} px" if config["strategy"] == "window" else ""
    return (
        f"{config['strategy']}: {config['size_px']} px{step}, mask covers at least {config['min_mask_ratio']:.3g} of a "
        f"tile; fallback: {config['fallback']}"
    )


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
    with (folder / "history.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
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


def _warnings(environment: Mapping[str, Any], folds: Folds, lost: int) -> tuple[str, ...]:
    warnings = []
    if str(environment["encoder"].get("weights", "")).startswith(_ENCODER_RANDOM):
        warnings.append(
            "The encoder has random weights: it was never trained. The scores say nothing about the method."
        )
    unselected = [str(number) for number, fold in enumerate(folds.folds) if not fold.select]
    if unselected:
        warnings.append(f"Folds {', '.join(unselected)} have no select part: training ran to its last epoch.")
    if lost:
        warnings.append(f"{lost} pictures are missing because the slides are not where the run found them.")
    return tuple(warnings)


def _failures(path: Path) -> tuple[FailureRow, ...]:
    if not path.is_file():
        return ()
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return tuple(FailureRow(row["item"], row["stage"], row["message"]) for row in csv.DictReader(stream))
    except (OSError, KeyError) as error:
        raise ArtifactError(f"{path} is damaged ({error}); delete it and write the report again") from error
