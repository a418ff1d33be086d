"""Read a run's folder and write its report; everything comes from disk, so it can be written again at any time."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tilewise.audit.table import read_findings, read_slides
from tilewise.errors import ArtifactError, SlideError
from tilewise.folds import PART_NAMES, Folds
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

_SHOWN_PER_CLASS = 2
_SHOWN_ERRORS = 6
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
    results, errors, lost = _slides(predictions, slides, tiles)
    return ReportInput(
        title=f"{folder.root.name} · tilewise",
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
        slides=results,
        confident_errors=errors,
        warnings=_warnings(folder, environment, folds, lost),
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


def _slides(
    predictions: pd.DataFrame, slides: pd.DataFrame, tiles: TileSet
) -> tuple[tuple[SlideResult, ...], tuple[SlideResult, ...], int]:
    """Examples of every class, the most confident errors, and how many pictures could not be made."""
    tested = predictions[(predictions["part"] == "test") & predictions["label"].notna()].copy()
    columns = [f"p_{name}" for name in tested["predicted"]]
    tested["probability"] = [row[name] for (_, row), name in zip(tested.iterrows(), columns, strict=True)]
    shown = (
        tested.sort_values("slide").groupby("label", sort=True).head(_SHOWN_PER_CLASS).sort_values(["label", "slide"])
    )
    wrong = tested[tested["label"] != tested["predicted"]]
    wrong = wrong.sort_values(["probability", "slide"], ascending=[False, True]).head(_SHOWN_ERRORS)
    rows = slides.set_index("slide")
    boxes = tiles.boxes()
    lost = 0

    def results(table: pd.DataFrame) -> tuple[SlideResult, ...]:
        nonlocal lost
        found = []
        for _, row in table.iterrows():
            try:
                picture = thumbnail(rows.loc[row["slide"]], boxes.get(row["slide"], np.empty((0, 4), np.int64)))
            except SlideError:
                picture, lost = None, lost + 1
            found.append(
                SlideResult(
                    slide=str(row["slide"]),
                    label=str(row["label"]),
                    predicted=str(row["predicted"]),
                    probability=float(row["probability"]),
                    label_probability=float(row[f"p_{row['label']}"]),
                    fold=int(row["fold"]),
                    num_tiles=int(row["num_tiles"]),
                    picture=picture,
                )
            )
        return tuple(found)

    return results(shown), results(wrong), lost


def _warnings(folder: RunFolder, environment: Mapping[str, Any], folds: Folds, lost: int) -> tuple[str, ...]:
    warnings = []
    if str(environment["encoder"].get("weights", "")).startswith(_ENCODER_RANDOM):
        warnings.append(
            "The encoder has random weights: it was never trained. The scores say nothing about the method."
        )
    num_failed = len(_failures(folder.failures))
    if num_failed:
        warnings.append(f"{num_failed} slides failed and took no part; they are listed at the end.")
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
