"""Read a run's folder and write its report; everything comes from disk, so it can be written again at any time."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from tilewise.auditing.cohort import NO_GROUPS
from tilewise.auditing.notes import note_kinds
from tilewise.auditing.table import read_findings
from tilewise.ensemble.record import RECORD_NAME
from tilewise.errors import SlideError
from tilewise.execution import read_failures
from tilewise.inference.predictions import Predictions
from tilewise.ladder.choice import read_choices
from tilewise.reporting.choose import confident_errors, example_slides
from tilewise.reporting.data import (
    AuditSummary,
    CohortSummary,
    DecisionRow,
    Epoch,
    FailureRow,
    History,
    ReportInput,
    SlideResult,
    TileSummary,
)
from tilewise.reporting.describe import describe_deployed, describe_layout
from tilewise.reporting.describe_tiles import describe_tiling, overlapping
from tilewise.reporting.ensemble import gather_ensemble
from tilewise.reporting.files import doubtful_labels_of, parts_of, public, rows_of, text_of, whole
from tilewise.reporting.heat import TileProbabilities
from tilewise.reporting.learning_curve import read_curve
from tilewise.reporting.ledger import make_ledgers
from tilewise.reporting.render import render_report
from tilewise.reporting.text import without_folders
from tilewise.reporting.thumbnail import CutBy, thumbnail
from tilewise.run_folder import RunFolder
from tilewise.score_warnings import RunFacts, run_warnings
from tilewise.store import read_json, write_text
from tilewise.tiles.config import TileConfig
from tilewise.training.history import FitRow
from tilewise.version import __version__


def write_report(folder: RunFolder, *, out: Path | None = None) -> Path:
    """Write the report of a run into its folder, or to `out`; returns where.

    Raises:
        ArtifactError: the folder holds no finished run.
    """
    path = out or folder.report
    write_text(path, report_html(folder))
    return path


def report_html(folder: RunFolder) -> str:
    """The report of a run as one page.

    Raises:
        ArtifactError: the folder holds no finished run.
    """
    combined = (folder.root / RECORD_NAME).is_file()
    return render_report(gather_ensemble(folder) if combined else gather(folder))


def gather(folder: RunFolder) -> ReportInput:
    """Everything the report says, from the run's files.

    Raises:
        ArtifactError: a file of the run is missing or damaged.
    """
    identity = folder.read_identity()
    recipe = identity["recipe"]
    evaluation = read_json(folder.evaluation, schema="tilewise.evaluation", version=1)
    environment = read_json(folder.environment, schema="tilewise.environment", version=1)
    facts = RunFacts.read(folder)
    folds, tiles, slides = facts.folds, facts.tiles, facts.slides
    predictions = Predictions.read(folder.predictions).per_slide.table
    config = TileConfig.model_validate(recipe["tiles"])
    cut_by = CutBy.of_run(tiles, folder.segment, config)
    made_by = facts.encoder.get("made_by")  # another program, whose features have no pixels
    examples = tuple(example_slides(predictions, folds.classes))
    errors = tuple(confident_errors(predictions))
    if made_by is None:
        heat = TileProbabilities.read(folder.tile_probabilities)
        examples, errors = (_with_pictures(results, slides, cut_by, heat) for results in (examples, errors))
    pictured = () if made_by else (*examples, *errors)
    root, has_groups = str(facts.root), facts.has_groups
    grouped = has_groups or bool(slides["group"].duplicated().any())
    audit = _audit(folder, facts.audit, grouped=grouped, root=root, fallback=str(recipe["tiles"]["fallback"]))
    failures = _failures(folder.failures, root)
    return ReportInput(
        title=Path(root).name,
        run=folder.root.resolve().name,
        recipe=str(recipe["name"]),
        encoder=str(facts.encoder["card"] if made_by else recipe["encoder"]["name"]),
        evaluation=evaluation,
        cohort=_cohort(identity, slides, has_groups=has_groups),
        audit=None if made_by else audit,
        tiles=TileSummary(
            tiles.counts(),
            tiles.skipped,
            tiles.fallbacks,
            f"They are those of {made_by}'s files." if made_by else describe_tiling(config),
            overlap=any(overlapping(cut_by.boxes[result.slide]) for result in pictured),
            small_masks=tiles.small_masks,
            outlined=cut_by.in_words(frozenset(result.slide for result in pictured)),
        ),
        parts=parts_of(folds),
        fold_notes=folds.notes,
        histories=tuple(_history(folder.fold(number), number) for number in range(len(folds.folds))),
        ladder=read_choices([folder.fold(number) for number in range(len(folds.folds))]),
        refits=recipe["head"].get("refit", False) is not False,  # left out of the dictionary by versions that never did
        slides=examples,
        confident_errors=errors,
        warnings=(*run_warnings(facts), *_missing_pictures(pictured)),
        recipe_yaml=without_folders(text_of(folder.recipe), root),
        environment=public({key: value for key, value in environment.items() if not key.startswith("schema")}, root),
        failures=failures,
        version=__version__,
        seed=int(identity["seed"]),
        doubtful_labels=doubtful_labels_of(folder.doubtful_labels),
        created=str(identity.get("created", "")),
        shortcuts=facts.shortcuts if not made_by or (facts.shortcuts and facts.shortcuts.traits) else None,
        curve=read_curve(folder.learning_curve),
        ledgers=make_ledgers(facts, audit.decisions, failures, predictions),
        deployed=describe_deployed(folder, folds),
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


def _audit(folder: RunFolder, meta: Mapping[str, Any], *, grouped: bool, root: str, fallback: str) -> AuditSummary:
    findings = read_findings(folder.audit / "findings.parquet")
    path = folder.audit / "decisions.csv"
    with whole(path):
        decisions = tuple(
            DecisionRow(
                row["slide"],
                row["finding"],
                row["decision"],
                without_folders(row["reason"], root),
                row["author"],
                row["value"],
            )
            for row in rows_of(path)
        )
    # That there are no groups stands among the warnings; where nothing shares one, no more is left to say.
    leakage = str(meta["leakage"]).removesuffix(NO_GROUPS).strip() if grouped else ""
    kinds = dict(sorted(Counter(findings["kind"]).items()))
    return AuditSummary(kinds, decisions, leakage, fallback, note_kinds(public(meta.get("notes", {}), root)))


def _history(folder: Path, number: int) -> History:
    path = folder / "history.csv"
    with whole(path):
        rows = rows_of(path)
        num_seeds = len({row.get("seed") for row in rows})
        rows = [row for row in rows if row.get("seed", "0") == "0"]
        if rows and "epoch" not in rows[0]:
            return History(number, (), fits=tuple(map(_fit, rows)))
        epochs = tuple(
            Epoch(
                int(row["epoch"]),
                float(row["train_loss"]),
                _float(row["validation_loss"]),
                _float(
                    row["validation_score"] if "validation_score" in row else row["validation_macro_f1"]
                ),  # its former name
            )
            for row in rows
        )
        kept_epoch = next((int(row["epoch"]) for row in rows if row["kept"] == "1"), None)
    return History(number, epochs, kept_epoch, num_seeds=num_seeds)


def _fit(row: Mapping[str, str]) -> FitRow:
    numbers = {name: _float(cell) for name, cell in row.items() if name != "kept"}
    return FitRow(**numbers, is_kept=row["kept"] == "1")


def _float(cell: str) -> float | None:
    return float(cell) if cell else None


def _with_pictures(
    results: Iterable[SlideResult], slides: pd.DataFrame, cut_by: CutBy, heat: TileProbabilities
) -> tuple[SlideResult, ...]:
    """The same results with pictures, as far as the slides are where the run found them."""
    rows = {str(row["slide"]): row for row in slides.to_dict("records")}
    drawn = []
    for result in results:
        row = rows[result.slide]
        with contextlib.suppress(SlideError):
            result = replace(result, picture=thumbnail(row, cut_by))  # noqa: PLW2901 - the same, with its pictures
            result = heat.draw(result, (int(row["width"]), int(row["height"])))  # noqa: PLW2901
        drawn.append(result)
    return tuple(drawn)


def _missing_pictures(results: Iterable[SlideResult]) -> Iterator[str]:
    num = sum(result.picture is None for result in results)
    if num:
        subject = "picture is missing because its slide is" if num == 1 else "pictures are missing: slides are"
        yield f"{num} {subject} not where the run found them."


def _failures(path: Path, root: str) -> tuple[FailureRow, ...]:
    with whole(path):
        failures = read_failures(path)
    return tuple(FailureRow(item.item, item.stage, without_folders(item.message, root)) for item in failures)
