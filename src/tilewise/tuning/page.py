"""A search as a page that loads nothing."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from tilewise.metrics import METRIC_NAMES
from tilewise.reporting.templates import environment, read
from tilewise.store import write_text
from tilewise.tuning.charts import history, shown_score, slices
from tilewise.tuning.space import Space
from tilewise.tuning.tune_cohort import AS_IT_IS
from tilewise.tuning.tuned_recipe import TunedRecipe
from tilewise.version import __version__

_MOST_ROWS = 60


def write_page(tuned: TunedRecipe, space: Space, cohort: str, seed: int) -> None:
    """Write the page; the same search gives the same text."""
    metric = METRIC_NAMES[tuned.metric]
    first = float(tuned.first_scores.validation)
    ordered = sorted(tuned.trials, key=lambda trial: (trial.value is None, -(shown_score(trial) or 0.0), trial.number))
    view = {
        "space": space,
        "tuned": tuned,
        "cohort": cohort,
        "seed": seed,
        "metric_name": metric,
        "inside": _inside(tuned),
        "sentences": tuned.sentences(),
        "history": history(tuned.trials, first, tuned.winner, metric) if tuned.trials else None,
        "slices": slices(space, tuned.trials, dict(tuned.importances), tuned.winner, metric),
        "rows": ordered[:_MOST_ROWS],
        "num_rows": _MOST_ROWS,
        "shown_score": shown_score,
        "style": read("report.css") + read("sweep.css") + read("tune.css"),
        "version": __version__,
    }
    pages = environment(setting=_setting)
    write_text(tuned.page, pages.get_template("tune.html").render(view))


def _inside(tuned: TunedRecipe) -> list[tuple[str, str, dict[str, Any]]]:
    """Name, folder of the run, and scores, of the winner and of the recipe as it is."""
    rows = [("the recipe as it is", AS_IT_IS, asdict(tuned.first_scores))]
    if tuned.winner is not None:
        rows.insert(0, ("the winner", tuned.run.folder.root.name, asdict(tuned.scores)))
    return rows


def _setting(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return value if isinstance(value, str) else json.dumps(value)
