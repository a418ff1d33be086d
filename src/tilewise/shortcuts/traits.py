"""What a slide has beside its tissue: ink, the outline of its mask, its size, file and glass, columns of the table."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, rankdata

from tilewise.auditing.cohort import AuditedCohort, AuditedSlide
from tilewise.auditing.facts import SlideFacts

Floats = npt.NDArray[np.float64]

_MOST_LEVELS = 20
_FEWEST_OF_LEVEL = 2


@dataclass(frozen=True)
class Trait:
    """Numbers that describe one thing about every slide.

    Attributes:
        name: what they are of, as a noun: `ink`, `mask outline`, `column site`.
        columns_SK: float64 (S, K), ready for a linear function; K is 0 where no slide differs.
        levels_S: the table's own values, where it is a column of few; None otherwise.
    """

    name: str
    columns_SK: Floats
    levels_S: tuple[str, ...] | None = None


def slide_traits(cohort: AuditedCohort, slides: Sequence[AuditedSlide]) -> tuple[Trait, ...]:
    """The traits in which slides differ.

    Args:
        cohort: whose audit measured the slides, before any repair.
        slides: of the cohort.
    """
    facts = [cohort.facts[item.slide_id] for item in slides if item.slide_id in cohort.facts]
    # Of slides that were put together without an audit nothing is known but the table.
    measures = _MEASURES if len(facts) == len(slides) else {}
    traits = [Trait(name, normal_scores(np.array([of(one) for one in facts]))) for name, of in measures.items()]
    return tuple(trait for trait in (*traits, *_table_columns(slides)) if trait.columns_SK.shape[1])


def normal_scores(values_SK: Floats) -> Floats:
    """Each column by its ranks, as quantiles of the normal distribution, and their squares; nan has its own column.

    Only the order of the values counts, so that a few huge files do not hide the others; and a class in the middle is
    told from those on both sides of it. Columns without differences are left out.
    """
    columns = []
    for values_S in values_SK.T:
        known_S = ~np.isnan(values_S)
        if len(np.unique(values_S[known_S])) > 1:
            scores_S = np.zeros(len(values_S))
            scores_S[known_S] = norm.ppf((rankdata(values_S[known_S]) - 0.5) / known_S.sum())
            columns.append(scores_S)
            if len(np.unique(values_S[known_S])) > 2:
                squares_S = np.square(scores_S)
                columns.append(np.where(known_S, squares_S - squares_S[known_S].mean(), 0.0))
        if 0 < known_S.sum() < len(known_S):
            columns.append(known_S - known_S.mean())
    return np.stack(columns, axis=1) if columns else np.empty((len(values_SK), 0))


def _ink(facts: SlideFacts) -> tuple[float, ...]:
    return facts.ink.area_share, facts.ink.tissue_share, len(facts.ink.blobs), len(facts.ink.pens)


def _mask_outline(facts: SlideFacts) -> tuple[float, ...]:
    return facts.mask.shape if facts.mask is not None and facts.mask.shape else (math.nan,) * 7


def _size(facts: SlideFacts) -> tuple[float, ...]:
    width, height = facts.size.width, facts.size.height
    return width, height, width / height, math.nan if facts.mpp is None else facts.mpp


def _file(facts: SlideFacts) -> tuple[float, ...]:
    return facts.num_bytes, facts.num_bytes / facts.size.area


def _glass(facts: SlideFacts) -> tuple[float, ...]:
    return *(facts.quality.glass or (math.nan,) * 3), facts.quality.bright_level


_MEASURES: dict[str, Callable[[SlideFacts], tuple[float, ...]]] = {
    "ink": _ink,
    "mask outline": _mask_outline,
    "slide size": _size,
    "file size": _file,
    "colour of the glass": _glass,
}


def _table_columns(slides: Sequence[AuditedSlide]) -> Iterator[Trait]:
    for name in dict.fromkeys(name for item in slides for name in item.slide.extra):
        values = [_cell(item.slide.extra.get(name)) for item in slides]
        numbers_S = _numbers(values)
        if numbers_S is not None and len(np.unique(numbers_S[~np.isnan(numbers_S)])) > _MOST_LEVELS:
            yield Trait(f"column `{name}`", normal_scores(numbers_S[:, None]))
            continue
        levels, counts = np.unique(values, return_counts=True)
        if 2 <= len(levels) <= _MOST_LEVELS and counts.max() >= _FEWEST_OF_LEVEL:
            dummies_SK = (np.array(values)[:, None] == levels[1:]).astype(np.float64)
            yield Trait(f"column `{name}`", dummies_SK - dummies_SK.mean(axis=0), tuple(values))


def _cell(value: Any) -> str:
    return "" if value is None or value != value else str(value).strip()  # noqa: PLR0124 - nan


def _numbers(values: Sequence[str]) -> Floats | None:
    try:
        return np.array([float(value) if value else math.nan for value in values])
    except ValueError:
        return None
