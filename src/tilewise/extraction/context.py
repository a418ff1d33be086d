"""What stands beside a slide's tiles: the tissue outside its mask, and the mask's shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tilewise.auditing.cohort import AuditedCohort, AuditedSlide
from tilewise.auditing.mask_shape import NUM_SHAPES, Floats, describe_shape
from tilewise.cohort import read_mask
from tilewise.execution import Failure, run_each, slide_time_limit
from tilewise.extraction.bag import FeatureBag
from tilewise.extraction.config import FeaturesConfig


def with_context(
    bags: Mapping[str, FeatureBag],
    outside: Mapping[str, FeatureBag],
    shapes: Mapping[str, Floats],
    config: FeaturesConfig,
) -> dict[str, FeatureBag]:
    """The bags with what stands beside their tiles, `FeatureBag.context_E`; nan is what a slide does not have.

    First stands whether there is tissue outside the mask, 1 or 0; then its mean features, the difference and the
    shape, as far as the config asks for them.

    Args:
        bags: slide -> its tiles.
        outside: slide -> its tiles outside the mask, of the slides that have some.
        shapes: slide -> shape of its mask, of the slides that have one.
        config: what is asked for.
    """
    described = {}
    for name, bag in bags.items():
        parts = []
        if config.context != "none":
            beside = outside.get(name)
            num_features = bag.features_ND.shape[1]
            mean_D = np.full(num_features, np.nan) if beside is None else beside.features_ND.mean(axis=0, dtype=float)
            parts += [np.array([beside is not None]), mean_D]
            if config.context == "outside_and_difference":
                parts.append(bag.features_ND.mean(axis=0, dtype=float) - mean_D)
        if config.context_shape:
            parts.append(shapes.get(name, np.full(NUM_SHAPES, np.nan)))
        described[name] = replace(bag, context_E=np.concatenate(parts).astype(np.float32))
    return described


def mask_shapes(cohort: AuditedCohort, *, workers: int | None) -> tuple[dict[str, Floats], tuple[Failure, ...]]:
    """Slide -> shape of its mask, of every slide with a usable one; and the masks that could not be read."""
    slides = {item.slide_id: item for item in cohort.slides if item.use_mask}
    outcome = run_each(_shape_of, slides, stage="features", workers=workers, limit_s=slide_time_limit())
    return dict(outcome.results), outcome.failures


def _shape_of(item: AuditedSlide) -> Floats:
    mask, _ = read_mask(item.slide, item.size)
    return describe_shape(mask)
