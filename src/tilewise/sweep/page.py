"""The sweep's table as a page that loads nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tilewise.metrics import METRIC_NAMES
from tilewise.reporting.templates import environment, read
from tilewise.reporting.text import NOTHING, count, interval, number, signed
from tilewise.store import write_text
from tilewise.sweep.table import SweepRow, SweepTable
from tilewise.version import __version__

_LIKELY = 0.05
_MOST_COLUMNS = 7  # more of them would push the scores off the page; the CSV has them all


@dataclass(frozen=True)
class PageFacts:
    """What stands above the table.

    Attributes:
        title: of the grid.
        description: of the grid.
        cohort: its folder's name.
        seed: of all variants.
        num_variants: that the grid has.
    """

    title: str
    description: str
    cohort: str
    seed: int
    num_variants: int


def write_page(path: Path, table: SweepTable, facts: PageFacts) -> None:
    """Write the page; the same table gives the same text."""
    pages = environment(factor=_factor)
    view = {
        "title": facts.title,
        "description": facts.description,
        "cohort": facts.cohort,
        "seed": facts.seed,
        "num_variants": facts.num_variants,
        "num_done": len(table.rows),
        "table": table,
        "chosen": table.chosen,
        "keys": list(table.rows[0].factors) if table.rows else [],
        "few": len(table.rows[0].factors) <= _MOST_COLUMNS if table.rows else True,
        "metric": table.metric,
        "metric_name": METRIC_NAMES[table.metric],
        "has_holdout": any(row.holdout for row in table.rows),
        "notices": notices(table.rows),
        "sentences": sentences(table),
        "notes": [(row.name, note) for row in table.rows for note in row.notes],
        "style": read("report.css") + read("sweep.css"),
        "version": __version__,
    }
    write_text(path, pages.get_template("sweep.html").render(view))


class Row(Protocol):
    """A variant, or its row."""

    @property
    def name(self) -> str:
        """Of the variant."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What was changed because the machine lacks it."""

    @property
    def also(self) -> tuple[str, ...]:
        """Further names of the very same run."""


def notices(rows: Sequence[Row]) -> list[str]:
    """What must be read before any score: which rows are not what the grid says, and which are one and the same."""
    changed = [name for row in rows if row.notes for name in (row.name, *row.also)]
    sentences = []
    if changed:
        first = next(row.notes[0] for row in rows if row.notes)
        sentences.append(
            f"Not run as the grid says, because this machine lacks weights: {', '.join(changed)}. The notes of each "
            f"variant, on the page and in `sweep.csv`, say what was changed; the first: {first}"
        )
    sentences += [
        f"{row.name} stands for {count(len(row.also), 'further row')} of the grid too, which came to the very same "
        f"recipe: {', '.join(row.also)}."
        for row in rows
        if row.also
    ]
    return sentences


def sentences(table: SweepTable) -> list[str]:
    """What the table shows, and what it does not."""
    scored = [row for row in table.rows if row.error is None]
    if not scored:
        return ["No variant has a score; the table names what stopped each of them."]
    sentences = []
    if table.chosen is not None:
        sentences += _choice(table, table.chosen)
    elif len(table.rows) == 1 and scored[0].also:
        sentences.append(
            "There is nothing to compare or to choose from: all rows of the grid are one and the same run."
        )
    sentences += _differences(scored, table.metric)
    sentences += [table.few_units] if table.few_units else []
    failed = len(table.rows) - len(scored)
    return sentences + ([f"{count(failed, 'variant')} failed."] if failed else [])


def _choice(table: SweepTable, chosen: SweepRow) -> list[str]:
    """Which variant to go on with, and what to expect of it."""
    metric, choice = table.metric, table.choice
    own = f"{METRIC_NAMES[metric]} on the test slides is {_score(chosen.test[metric])}"
    sentences = [f"Chosen by its `validation` score: {chosen.name}."]
    is_unanimous = choice is not None and set(choice.by_fold.values()) == {chosen.name}
    if choice is not None and len(choice.by_fold) == 1:
        sentences[0] += f" Its {own}; they had no part in the choice."
    elif is_unanimous:
        sentences[0] += f" Its own {own}. Every fold's own validation part chooses it, too: choosing cost nothing here."
    else:
        sentences[0] += (
            f" Its own {own}, which is too good to be true: these slides helped to choose it, as validation slides of "
            "other folds."
        )
    if choice is not None and not is_unanimous and len(choice.by_fold) > 1 and choice.optimism is not None:
        distance = f"{number(abs(choice.optimism), 3)} {'higher' if choice.optimism >= 0 else 'lower'}"
        sentences.append(
            f"Whatever was chosen in each fold by that fold's own validation part scores {_score(choice.test[metric])} "
            "on slides that had no part in the choice: that interval is what to expect of new slides. The winner's own "
            f"score is {distance}: the optimism of choosing."
        )
    if chosen.holdout:
        score = _score(chosen.holdout[metric])
        sentences.append(f"On the hold-out, which had no part in the choice, {chosen.name} scores {score}.")
    return sentences


def _differences(scored: list[SweepRow], metric: str) -> list[str]:
    first, others = scored[0], [row for row in scored if row.difference]
    if not others:
        return []
    clear = [row for row in others if (row.adjusted[metric] or 1.0) < _LIKELY]
    if not clear:
        tried = count(len(others), "comparison")
        sentence = (
            f"No variant can be told from {first.name}: in {tried}, no difference is larger than other slides and "
            "another seed make it, adjusted for their number. The order of the rows below says little."
        )
        return [sentence]
    names = ", ".join(f"{row.name} ({signed(row.difference[metric]['difference']['value'])})" for row in clear)
    return [f"Told from {first.name} beyond chance, adjusted for the number of rows: {names}."]


def _score(score: Mapping[str, float | None]) -> str:
    return f"{number(score['value'], 3)} ({interval(score, 3)})"


def _factor(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return NOTHING
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else json.dumps(value)
