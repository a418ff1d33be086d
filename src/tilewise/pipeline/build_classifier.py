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
    weighted = [(model, weight) for model, weight in zip(models, weights, strict=True) if weight]
    models, weights = tuple(model for model, _ in weighted), tuple(weight for _, weight in weighted)
    inside = {item.slide_id: str(item.label) for item in folds.items if item.slide_id not in set(folds.holdout)}
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
