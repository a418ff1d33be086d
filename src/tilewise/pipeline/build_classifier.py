"""The deployable classifier, from the models of the folds."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tilewise.auditing.cohort import AuditedCohort
from tilewise.folds import Folds
from tilewise.inference.classifier import ClassifierBundle, Member
from tilewise.recipe import Recipe


def build_classifier(
    models: tuple[Member, ...],
    weights: tuple[float, ...],
    folds: Folds,
    audited: AuditedCohort,
    recipe: Recipe,
    signature: dict[str, Any],
    seed: int,
) -> ClassifierBundle:
    """The deployable classifier: the models of the folds that have a weight, and what they have learnt from."""
    weighted = [row for row in zip(models, weights, folds.folds, strict=True) if row[1]]
    models, weights = tuple(model for model, _, _ in weighted), tuple(weight for _, weight, _ in weighted)
    # What a lone fold only tested is as new to its model as any other slide.
    known = {name for _, _, fold in weighted for name in (*fold.train, *fold.validation)}
    inside = {item.slide_id: str(item.label) for item in folds.items if item.slide_id in known}
    joined = {one["slide"] for model in models for one in model.origin.get("pseudo", {}).get("added", ())}
    joined |= {name for model in models for name in model.origin.get("pretrain", {}).get("unlabelled", ())}
    taught = inside.keys() | joined
    return ClassifierBundle(
        members=models,
        weights=weights,
        classes=folds.classes,
        recipe=recipe.model_dump(mode="json"),
        seed=seed,
        encoder=signature,
        label_counts=dict(sorted(Counter(inside.values()).items())),
        training_slides={item.pixel_digest: item.slide_id for item in audited.slides if item.slide_id in taught},
    )
