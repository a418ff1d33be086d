"""What the review page is told, as plain data; slides are named by their number in the cohort."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tilewise.auditing.decision_log import LABEL, Act
from tilewise.evaluation.evaluation import Evaluation
from tilewise.metrics import METRIC_NAMES
from tilewise.recipe import Recipe, parse_recipe
from tilewise.serving.review.reviewed_run import ReviewedRun, ReviewedSlide, Suspicion

if TYPE_CHECKING:
    from tilewise.serving.review.heat import TileHeat
    from tilewise.serving.review.pairs import Overlay

DOUBT = "doubtful-label"
"""The kind under which the page lists labels in doubt."""


def describe_run(run: ReviewedRun, reviewer: str, *, blind: bool = False) -> dict[str, Any]:
    """What stands in the head of the page, and whether it was started blind."""
    evaluation = Evaluation.read(run.folder.evaluation)
    primary = evaluation.primary
    identity = run.folder.read_identity()
    root, log = str(identity["cohort"]["root"]), str(run.folder.decision_log)
    return {
        "name": run.folder.root.resolve().name,
        "recipe": str(identity["recipe"]["name"]),
        "cohort": root.rstrip("/").rpartition("/")[2],
        "classes": list(run.classes),
        "reviewer": reviewer,
        "blind": blind,
        "metric": METRIC_NAMES[evaluation.metric],
        "score": [primary.value, primary.low, primary.high],
        "log": log,
        "attends": _attends(parse_recipe(identity["recipe"], f"the recipe of {run.folder.root}")),
        "command": _retrain_command(run, identity),
    }


def _attends(recipe: Recipe) -> bool:
    """Whether heads of the recipe, or of a rung of its ladder, may weigh tiles."""
    return any(one.head.attends and one.training.input == "features" for one in recipe.rungs().values() or (recipe,))


def _retrain_command(run: ReviewedRun, identity: Mapping[str, Any]) -> str:
    """What trains the same recipe again, on what was decided."""
    cohort, recipe, log = (
        shlex.quote(str(path)) for path in (identity["cohort"]["root"], run.folder.recipe, run.folder.decision_log)
    )
    return f"tilewise train {cohort} --recipe {recipe} --seed {identity['seed']} --decisions {log} --out NEW_RUN"


def list_slides(run: ReviewedRun) -> list[dict[str, Any]]:
    """One entry for each slide, as short as the list needs it."""
    numbers = {item.slide.slide_id: number for number, item in enumerate(run.slides)}
    return [_entry(item, numbers) for item in run.slides]


def _entry(item: ReviewedSlide, numbers: Mapping[str, int]) -> dict[str, Any]:
    predicted = item.prediction
    entry: dict[str, Any] = {
        "id": item.slide.slide_id,
        "label": item.label,
        "kept": item.row is not None,
        "items": [_short(suspicion, numbers) for suspicion in item.suspicions],
    }
    if predicted is not None:
        entry |= {
            "predicted": predicted.predicted,
            "p": round(predicted.probabilities[predicted.predicted], 4),
            "fold": predicted.fold,
            "wrong": item.label is not None and item.label != predicted.predicted,
            "unsure": predicted.is_unsure,
        }
    if item.doubt is not None and item.doubt.label == item.label:
        entry["items"].append(
            {"kind": DOUBT, "proposal": f"relabel: {item.doubt.suggested}", "others": [], "is_note": False}
        )
    entry["items"].sort(key=lambda one: one["is_note"])  # notes come last
    return entry


def _short(suspicion: Suspicion, numbers: Mapping[str, int]) -> dict[str, Any]:
    others = [numbers[name] for name in suspicion.others if name in numbers]
    return {
        "kind": suspicion.kind,
        "proposal": suspicion.proposal,
        "others": others,
        "is_note": suspicion.is_note,
    }


def describe_slide(run: ReviewedRun, number: int) -> dict[str, Any]:
    """Everything the page says of one slide, but for its pixels and tiles."""
    item = run.slides[number]
    facts = {name: values[item.slide.slide_id] for name, values in run.columns.items() if item.slide.slide_id in values}
    facts = {str(name): str(value) for name, value in item.slide.extra.items() if value is not None} | facts
    if item.slide.label is not None and item.slide.label != item.label:
        facts["label in the table"] = item.slide.label
    if item.group is not None:
        facts["group"] = item.group
    row = item.row or {}
    if row.get("repaired"):
        facts["repaired"] = str(row["repaired"])
    payload: dict[str, Any] = {
        "id": item.slide.slide_id,
        "facts": facts,
        "notes": [text for text in (str(row.get("notes") or ""), item.failure, item.no_tiles) if text],
        "evidence": {one.kind: [round(one.confidence, 3), *one.evidence] for one in item.suspicions},
        "has_mask": item.slide.mask_path is not None or row.get("mask") is not None,
        "mpp": row.get("mpp") if row.get("mpp") == row.get("mpp") else None,
        "repaired": bool(row.get("before_after") or row.get("repaired")),
    }
    predicted = item.prediction
    if predicted is not None:
        payload["prediction"] = {
            "probabilities": predicted.probabilities,
            "calibrated": predicted.is_calibrated,
            "set": list(predicted.classes),
            "part": predicted.part,
            "num_tiles": predicted.num_tiles,
        }
    if item.doubt is not None:
        doubt = item.doubt
        text = (
            f"models that did not learn from this slide give {doubt.suggested} a probability of "
            f"{doubt.suggested_probability:.2f}, the label {doubt.label} {doubt.label_probability:.2f}; with few "
            "slides, most such labels are right"
        )
        payload["evidence"][DOUBT] = [round(doubt.suggested_probability, 3), text]
    return payload


def describe_heat(heat: TileHeat) -> dict[str, Any]:
    """Tiles and their values, class by class."""
    attention = heat.attention_TC
    return {
        "boxes": heat.boxes.tolist(),
        "probabilities": [[round(value, 4) for value in row] for row in heat.probabilities_TC.T.tolist()],
        "attention": None
        if attention is None
        else [[round(value, 3) for value in row] for row in attention.T.tolist()],
        "models": heat.models,
    }


def describe_overlay(overlay: Overlay) -> dict[str, Any]:
    """How the second slide of a pair lies on the first."""
    return {"relation": overlay.relation, "words": overlay.words, "matrix": list(overlay.matrix)}


def describe_decisions(
    acts: Mapping[tuple[str, str], Act], numbers: Mapping[str, int], num_acts: int
) -> dict[str, Any]:
    """What counts now, by number of the slide and kind of finding; acts about other slides are left out."""
    return {
        "acts": num_acts,
        "decided": [
            [numbers[act.slide], act.finding, act.decision, act.value, act.author, act.time, act.reason, act.blind]
            for act in acts.values()
            if act.slide in numbers
        ],
        "label": LABEL,
    }
