"""How far each slide lies from its cohort, by all that is measured of its tissue."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from tilewise.auditing.histology.cells import DARK_LEVEL
from tilewise.auditing.histology.detail import Detail
from tilewise.auditing.histology.facts import HistologyFacts
from tilewise.auditing.histology.outliers import SMALLEST_COHORT, neighbour_distance, robust_scores, shrunk_distance
from tilewise.auditing.histology.stain_plane import StainColour

LEANS: Final = 4.0
"""Robust score that leans fully towards a drawing; half of it does not lean at all."""

# Distance from the cohort from which a slide is far, and in robust spreads of the cohort's own distances.
_FAR, _OWN_SPREADS = 1.7, 4.0
FEW_CELLS: Final = 6
"""Squares of tissue below which a slide is no sample of itself."""

# Columns of `_vector`: evenness first, what a drawing has more of last, and the least spread a cohort can have in each.
_NUM_EVENNESS, _NUM_COLOURS = 4, 2
_FLOORS: Final = np.array(
    [0.03] * 4 + [0.03, 0.15] + [0.1] * 3 + [0.15, 0.015, 0.015, 0.01, 0.03, 0.05] + [0.005, 0.05]
)


def _vector(colour: StainColour, detail: Detail) -> tuple[float, ...]:
    return (
        *detail.evenness,
        detail.band_evenness,
        detail.coherence,
        detail.skew,
        *(math.log(band + 0.3) for band in detail.bands),
        math.log(detail.noise + 0.3),
        colour.green,
        colour.red,
        colour.along,
        detail.common,
        math.sqrt(detail.flat),
        colour.across,
        math.sqrt(colour.off_plane),
    )


def cohort_distance(facts: Mapping[str, HistologyFacts]) -> dict[str, float]:
    """How far slides lie from the rest of their cohort in detail, colour and texture: about 1 for slides like the rest.

    Slides of which too little can be seen, and all slides of cohorts below twenty, are left out.
    """
    return {name: far for name, far, _ in distances(facts)[0]}


def distances(facts: Mapping[str, HistologyFacts]) -> tuple[list[tuple[str, float, tuple[float, float]]], float]:
    """Slide, its distance, and how bare and how oddly coloured it is; and the distance from which a slide is far."""
    # A handful of cells is no sample, and a dark slide is far from the rest whatever it shows.
    able = {n: f for n, f in sorted(facts.items()) if f.num_cells >= FEW_CELLS and f.bright_level >= DARK_LEVEL}
    known = [(n, f.colour, f.detail) for n, f in able.items() if f.colour and f.detail and f.embedding]
    if len(known) < SMALLEST_COHORT:
        return [], math.inf
    measures = np.array([_vector(colour, detail) for _, colour, detail in known])
    scores = robust_scores(measures, floor=_FLOORS)
    apart = np.sqrt(shrunk_distance(scores) * neighbour_distance(np.array([facts[n].embedding for n, _, _ in known])))
    # A cohort of many tissues has far slides of its own; what is far there is measured by its spread.
    logs = np.log(np.maximum(apart, 1e-6))
    own_spread = np.median(logs) + _OWN_SPREADS * max(1.4826 * float(np.median(np.abs(logs - np.median(logs)))), 0.05)
    start = max(_FAR, math.exp(own_spread))
    uneven = np.max(-scores[:, :_NUM_EVENNESS], axis=1)
    grey = np.array([LEANS * ramp(colour.grey, 0.2, 0.5) for _, colour, _ in known])
    coloured = np.maximum(np.max(scores[:, -_NUM_COLOURS:], axis=1), grey)
    names = [name for name, _, _ in known]
    leans = list(zip(uneven.tolist(), coloured.tolist(), strict=True))
    return list(zip(names, apart.tolist(), leans, strict=True)), start


def ramp(value: float, start: float, full: float) -> float:
    """0 up to `start`, 1 from `full` on, a straight line between."""
    return min(1.0, max(0.0, (value - start) / (full - start)))
