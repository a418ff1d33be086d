"""What tells a run from another: cohort, recipe, seed, decisions and plugins."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tilewise.auditing.decisions import digest_decisions
from tilewise.errors import UsageError
from tilewise.pipeline.shared_stages import SharedStages
from tilewise.plugins import plugin_records
from tilewise.recipe import Recipe


def run_identity(recipe: Recipe, shared: SharedStages) -> dict[str, Any]:
    """What a run is made from, as `run.json` says it.

    Raises:
        UsageError: the decisions cannot be read.
    """
    cohort, decisions, choices = shared.cohort, shared.decisions, recipe.model_dump(mode="json")
    plugins = plugin_records(choices)
    return {
        "cohort": {"root": str(cohort.root.resolve()), "layout": cohort.layout},
        "recipe": choices,
        **({"plugins": plugins} if plugins else {}),
        "seed": shared.seed,
        "decisions": None if decisions is None else _digest_decisions(decisions),
        "notes": list(cohort.notes),
        "warnings": list(cohort.warnings),
        "created": datetime.now(UTC).date().isoformat(),
    }


def _digest_decisions(path: Path) -> str:
    try:
        return digest_decisions(path)
    except OSError as error:
        raise UsageError(f"--decisions {path}: cannot be read ({error}); give the decisions.csv of an audit") from error
