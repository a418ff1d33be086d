"""Classifier and new slides in, predictions out."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tilewise.audit import run as audit_stage
from tilewise.audit.cohort import AuditedCohort
from tilewise.audit.config import AuditConfig
from tilewise.audit.run import AuditOptions
from tilewise.cohort import Cohort
from tilewise.encoders import Encoder, build_encoder
from tilewise.errors import EncoderUnavailable, UsageError
from tilewise.execution import Failure
from tilewise.inference.classifier import SlideClassifier
from tilewise.inference.predictions import PREFIX
from tilewise.inference.submission import write_submission
from tilewise.models import FoldModel
from tilewise.pipeline.looks import Looker
from tilewise.pipeline.masks import masks_for_prediction
from tilewise.recipe import parse_recipe
from tilewise.store import write_text
from tilewise.tiles import run as tile_stage
from tilewise.tiles.tileset import TileSet

# Findings that make a prediction doubtful; masks are spoken of with the tiles.
_TELLING = frozenset({"not-histology", "other-stain", "ink", "blank", "blurred", "dark", "bright"})


@dataclass(frozen=True)
class PredictionResult:
    """What became of new slides.

    Attributes:
        table: one row per slide in the cohort's order: slide, predicted, p_<class>..., num_tiles, warnings (joined by
            "; ", empty where there is nothing to say).
        details: where the table was written; None where it was not.
        warnings: what a person should know, slide by slide.
        failures: slides that could not be read; they have a row all the same.
    """

    table: pd.DataFrame
    details: Path | None
    warnings: tuple[str, ...]
    failures: tuple[Failure, ...]

    def counts(self) -> dict[str, int]:
        """Class -> number of slides that were looked at and predicted so."""
        classes = [name.removeprefix(PREFIX) for name in self.table.columns if name.startswith(PREFIX)]
        found = Counter(self.table.loc[self.table["num_tiles"] > 0, "predicted"])
        return {name: found[name] for name in classes}

    def unclassified(self) -> tuple[str, ...]:
        """Slides that were not looked at: they could not be read or yielded no tile, and were filled in."""
        return tuple(self.table.loc[self.table["num_tiles"] == 0, "slide"])


def predict(
    classifier: SlideClassifier, cohort: Cohort, *, out: Path | None, workers: int | None = None, offline: bool = False
) -> PredictionResult:
    """Classify slides by the recipe the classifier was trained with.

    Every slide gets a row. One that cannot be read or yields no tile is given the share of each class in the training
    cohort as its probabilities, and a warning.

    Raises:
        UsageError: `out` is a folder.
        EncoderUnavailable: the encoder's weights are not here, or are others than in training.
        CohortError: not one slide can be read.
        NoTiles: not one slide yields a tile.
    """
    if out is not None and out.is_dir():
        raise UsageError(f"--out {out} is a folder; give the file to write, {out / 'submission.csv'} say")
    recipe = parse_recipe(classifier.recipe, "the classifier's recipe")
    encoder: Encoder | None = None
    notes: tuple[str, ...] = ()
    if recipe.training.on == "features":  # networks on pixels lie in the bundle, whole
        encoder = build_encoder(recipe.encoder, offline=offline, seed=classifier.seed, workers=workers)
        notes = _compare_encoders(classifier, encoder)
    audited = audit_stage.run(cohort, _for_prediction(recipe.audit), AuditOptions(drop=False, workers=workers))
    audited = masks_for_prediction(audited, recipe.segment, classifier, workers=workers, offline=offline)
    tiles, tile_failures = tile_stage.run(audited, recipe.tiles, out=None, workers=workers)
    looker, lost = Looker(audited, tiles, encoder, recipe).with_profiles(workers=workers)
    looks = looker.look(classifier.targets, without={failure.item for failure in lost}, hold=False)
    found, probabilities_SC = looks.predict(classifier, tuple(looks.seen[0]))
    failures = (*audited.failures, *tile_failures, *lost, *looks.failures, *found.failures)

    prior = np.array([classifier.label_counts.get(name, 0) for name in classifier.classes], dtype=np.float64)
    rows = dict.fromkeys((slide.slide_id for slide in cohort.slides), prior / prior.sum())
    num_tiles = dict.fromkeys(rows, 0)
    rows.update(zip(found.slide_ids, probabilities_SC, strict=True))
    num_tiles.update(zip(found.slide_ids, found.num_tiles_S.tolist(), strict=True))
    warnings = _slide_warnings(classifier, audited, tiles, failures)
    record = looker.record(looks)
    for name, reason in record.left.items() if record else ():
        warnings.setdefault(name, []).append(f"stain not normalised: {reason}")
    probabilities = np.stack(list(rows.values()))
    table = pd.DataFrame(
        {
            "slide": list(rows),
            "predicted": [classifier.classes[index] for index in probabilities.argmax(axis=1)],
            **{PREFIX + name: probabilities[:, index] for index, name in enumerate(classifier.classes)},
            "num_tiles": list(num_tiles.values()),
            "warnings": ["; ".join(warnings.get(name, ())) for name in rows],
        }
    )
    details = None if out is None else _write(out, table)
    said = (*notes, *(f"{name}: {text}" for name, texts in warnings.items() for text in texts))
    return PredictionResult(table, details, said, failures)


def _for_prediction(config: AuditConfig) -> AuditConfig:
    """Every new slide is asked for: copies are no fault, and where training drops ink it is taken out here."""
    return config.model_copy(update={"copies": "keep", "ink": "keep" if config.ink == "keep" else "repair"})


def _compare_encoders(classifier: SlideClassifier, encoder: Encoder) -> tuple[str, ...]:
    """Other weights make other vectors: that is refused. Another engine rounds otherwise: that is said."""
    then, now = classifier.encoder, encoder.signature
    length = next(member.num_features for member in classifier.members if isinstance(member, FoldModel))
    if encoder.card.dim != length:
        raise EncoderUnavailable(
            f"encoder {encoder.card.name}: it makes {encoder.card.dim} features of a tile here and made {length} in "
            "training; use the version of tilewise that trained the run, or train again"
        )
    different = [key for key in sorted(then.keys() | now.keys()) if then.get(key) != now.get(key)]
    steps = {
        "card": "use the version of tilewise that trained the run, or train again",
        "code": "use the version of tilewise that trained the run, or train again",
        "weights": "give the file the run was trained with",
    }
    for key, step in steps.items():
        if key in different:
            raise EncoderUnavailable(
                f"encoder {encoder.card.name}: its {key} differs from training ({then.get(key)!r} then, "
                f"{now.get(key)!r} now); {step}"
            )
    changes = ", ".join(f"{key} {then.get(key)!r} -> {now.get(key)!r}" for key in different)
    return (f"the encoder runs otherwise than in training ({changes}); probabilities may differ slightly",) * bool(
        changes
    )


def _slide_warnings(
    classifier: SlideClassifier, audited: AuditedCohort, tiles: TileSet, failures: tuple[Failure, ...]
) -> dict[str, list[str]]:
    warnings: dict[str, list[str]] = {}
    prior = f"NOT CLASSIFIED, filled in with the commonest class of the training cohort ({classifier.commonest})"
    for failure in failures:
        warnings.setdefault(failure.item, []).append(f"{prior}: it could not be read: {failure.message}")
    for name, reason in tiles.skipped.items():
        warnings.setdefault(name, []).append(f"{prior}: it yields no tile: {reason}")
    for name, reason in tiles.fallbacks.items():
        warnings.setdefault(name, []).append(f"tiles not cut by its mask: {reason}")
    for finding in audited.findings:
        if finding.kind in _TELLING and finding.proposal != "keep":
            warnings.setdefault(finding.slide, []).append(f"{finding.kind}: {finding.evidence}")
    for item in audited.slides:
        if item.repaired:
            warnings.setdefault(item.slide_id, []).append(f"repaired: {item.repaired}")
        twin = classifier.training_slides.get(item.pixel_digest)
        if twin is not None:
            text = f"the same pixels as the training slide {twin}: the classifier has seen it, ignore its prediction"
            warnings.setdefault(item.slide_id, []).append(text)
    return warnings


def _write(out: Path, table: pd.DataFrame) -> Path:
    details = out.with_name(f"{out.stem}.details.csv")
    buffer = io.StringIO()
    table.to_csv(buffer, index=False, quoting=csv.QUOTE_MINIMAL, lineterminator="\n", float_format="%.6f")
    write_text(details, buffer.getvalue())
    write_submission(out, zip(table["slide"], table["predicted"], strict=True))
    return details
