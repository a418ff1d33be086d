"""The public verbs: what `import tilewise` and the command line offer."""

from __future__ import annotations

from tilewise.api.catalogue import accept_licence, encoder, encoders, fetch_weights
from tilewise.api.finished import evaluate, report, verify
from tilewise.api.learn import ensemble, explain, features, predict, sweep, train
from tilewise.api.slides import audit, segment, similar, synth, tiles
from tilewise.recipe import load_recipe, packaged_recipes, recipe_schema, resolve_recipe

__all__ = [
    "accept_licence",
    "audit",
    "encoder",
    "encoders",
    "ensemble",
    "evaluate",
    "explain",
    "features",
    "fetch_weights",
    "load_recipe",
    "packaged_recipes",
    "predict",
    "recipe_schema",
    "report",
    "resolve_recipe",
    "segment",
    "similar",
    "sweep",
    "synth",
    "tiles",
    "train",
    "verify",
]
