"""A combined run's report, from its own files alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tilewise.ensemble.record import RECORD_NAME, EnsembleRecord
from tilewise.folds import Folds
from tilewise.inference.predictions import Predictions
from tilewise.reporting.choose import confident_errors
from tilewise.reporting.data import CohortSummary, ReportInput
from tilewise.reporting.describe import describe_layout
from tilewise.reporting.files import doubtful_labels_of, parts_of, public, text_of
from tilewise.reporting.text import without_folders
from tilewise.run_folder import RunFolder
from tilewise.store import read_json
from tilewise.version import __version__


def gather_ensemble(folder: RunFolder) -> ReportInput:
    """Everything the report of a combined run says. Audit, tiles and training stand in the reports of its runs.

    Raises:
        ArtifactError: a file of the run is missing or damaged.
    """
    identity = folder.read_identity()
    record = EnsembleRecord.read(folder.root / RECORD_NAME)
    environment = read_json(folder.environment, schema="tilewise.environment", version=1)
    folds = Folds.read(folder.folds)
    root, notes = str(identity["cohort"]["root"]), [str(note) for note in identity["notes"]]
    return ReportInput(
        title=Path(root).name,
        run=folder.root.resolve().name,
        recipe=record.method,
        encoder=", ".join(dict.fromkeys(record.recipes)),
        evaluation=read_json(folder.evaluation, schema="tilewise.evaluation", version=1),
        cohort=_cohort(folds, Path(root).name, describe_layout(str(identity["cohort"]["layout"]), notes)),
        audit=None,
        tiles=None,
        parts=parts_of(folds),
        fold_notes=folds.notes,
        confident_errors=tuple(confident_errors(Predictions.read(folder.predictions).per_slide.table)),
        warnings=record.warnings,
        recipe_yaml=without_folders(text_of(folder.recipe), root),
        environment=public({key: value for key, value in environment.items() if not key.startswith("schema")}, root),
        version=__version__,
        seed=int(identity["seed"]),
        doubtful_labels=doubtful_labels_of(folder.doubtful_labels),
        created=str(identity.get("created", "")),
        combined=record,
    )


def _cohort(folds: Folds, root: str, layout: str) -> CohortSummary:
    counts = Counter(str(item.label) for item in folds.items)
    groups = {name: len({item.group_key for item in folds.items if item.label == name}) for name in sorted(counts)}
    num_groups = len({item.group_key for item in folds.items})
    # Where no two slides share a group, groups are not worth a word.
    shared = num_groups < len(folds.items)
    return CohortSummary(root, layout, dict(sorted(counts.items())), groups, num_groups=num_groups, has_groups=shared)
