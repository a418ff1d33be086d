"""What is true of a synthetic cohort, slide by slide and in sum. All of it follows from the plan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tilewise.synthetic.bound import BestRule, best_reachable, macro_f1
from tilewise.synthetic.config import SynthConfig
from tilewise.synthetic.latents import SHAPE_LATENTS, TEXTURE_LATENTS, Array, class_names, posterior
from tilewise.synthetic.plan import PlannedSlide
from tilewise.synthetic.slide import DRAWING_VERSION, layout_of

TRUTH_FOLDER = "truth"
SCHEMA, VERSION = "tilewise.synthetic_truth", 1


def truth_summary(config: SynthConfig, plan: dict[int, PlannedSlide]) -> dict[str, Any]:
    """The content of `truth.json`: the config, and the best reachable scores."""
    bound = best_reachable(config)
    posteriors = posterior(config, _latents(plan))
    return {
        "drawing_version": DRAWING_VERSION,
        "config": config.model_dump(mode="json"),
        "best_reachable": {
            "macro_f1": bound.macro_f1,
            "macro_f1_of_likeliest_class": bound.macro_f1_of_likeliest_class,
            "accuracy": bound.accuracy,
            "num_draws": bound.num_draws,
            "note": "classifiers of the hidden latents over endless slides; no classifier of pictures can expect more",
        },
        "best_rule_on_cohort": {
            part: {"macro_f1": _score(config, plan, posteriors, bound.rule, part=part)} for part in ("train", "test")
        },
    }


def truth_rows(config: SynthConfig, plan: dict[int, PlannedSlide]) -> Iterator[list[object]]:
    """The rows of `truth.csv`, its header first.

    `signal` is the log odds of the slide's own class against the likeliest other one, given its latents: above 0
    the slide looks like its class most of all. `seed` is what the slide's generators start from, with the number of
    the stream after it.
    """
    names = class_names(config)
    latent_names = TEXTURE_LATENTS if config.signal == "texture" else SHAPE_LATENTS
    yield [
        "sample_index", "part", "label", "seed", "width", "height", "num_cores", "num_fragments", "num_regions",
        "signal", *(f"p_{name}" for name in names), *latent_names,
    ]  # fmt: skip
    posteriors = posterior(config, _latents(plan))
    for slide, p_C in zip(plan.values(), posteriors, strict=True):
        layout = layout_of(config, slide)
        own = names.index(slide.label)
        tiny = np.finfo(np.float64).tiny
        signal = float(np.log(p_C[own] + tiny) - np.log(np.delete(p_C, own).max() + tiny))
        yield [
            slide.image_name, slide.part, slide.label, f"{slide.seed} {slide.index}",
            layout.size.width, layout.size.height, len(layout.cores), len(layout.fragments),
            sum(zone.kind == "region" for zone in layout.zones), round(signal, 4),
            *(round(float(p), 6) for p in p_C), *(round(value, 6) for value in slide.latents),
        ]  # fmt: skip


def _latents(plan: dict[int, PlannedSlide]) -> Array:
    return np.array([slide.latents for slide in plan.values()])


def _score(
    config: SynthConfig, plan: dict[int, PlannedSlide], posteriors: Array, rule: BestRule, *, part: str
) -> float | None:
    """Macro F1 of the best rule on the slides of one part; None where it has none."""
    chosen = np.array([slide.part == part for slide in plan.values()])
    if not chosen.any():
        return None
    names = class_names(config)
    labels = np.array([names.index(slide.label) for slide in plan.values()])
    return macro_f1(rule.confusion(posteriors[chosen], labels[chosen]))
