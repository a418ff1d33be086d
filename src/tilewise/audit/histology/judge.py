"""Is what lies in the tissue's outline stained tissue, and which stain?

Evidence of different kinds is added up. Each kind starts to count beyond what real sections show (nine public sets of
haematoxylin and eosin, blurred, dark, bright, recompressed and inked as well) and follows from how tissue and stain are
made, not from how drawings look: detail without gaps, few plain areas, colours that two dyes can mix. From twenty
slides on, distance from the rest of the cohort counts too, but only where the slide also leans towards a drawing, for a
blurred slide is far from the rest as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tilewise.audit.finding import Action, Finding
from tilewise.audit.histology.cells import DARK_LEVEL, Cells, cut_cells, well_exposed
from tilewise.audit.histology.detail import Detail, tissue_detail
from tilewise.audit.histology.outliers import SMALLEST_COHORT, neighbour_distance, robust_scores, shrunk_distance
from tilewise.audit.histology.stain_plane import StainColour, stain_colour
from tilewise.encoders.texture import texture_features

_TILE_PX, _SMALLEST_TILE_PX, _NUM_TILES = 224, 32, 2
# Sums of evidence from which a slide is proposed for dropping, or at least named.
_CLEAR, _BORDERLINE = 0.9, 0.6
_STEEPNESS: Final = 6.0
# Distance from the cohort from which a slide is far, and in robust spreads of the cohort's own distances.
_FAR, _OWN_SPREADS = 1.7, 4.0
_FEW_CELLS, _ENOUGH_CELLS = 6, 8
# Robust scores that lean fully towards a drawing; half of them do not lean at all.
_LEANS: Final = 4.0


@dataclass(frozen=True)
class HistologyFacts:
    """What of a slide's tissue tells whether it is stained tissue.

    Attributes:
        num_cells: squares of tissue that were looked at; 0 where there is no tissue, and nothing can be told.
        bright_level: grey level that 2 % of the slide exceed in its brightest channel.
        ink: share of their pixels that has the colour of ink.
        colour, detail: None where too few pixels hold dye.
        embedding: mean `texture` vector of tiles in the tissue; empty for pictures below 32 px.
    """

    num_cells: int
    bright_level: float
    ink: float
    colour: StainColour | None
    detail: Detail | None
    embedding: tuple[float, ...]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> HistologyFacts:
        """Facts from what `dataclasses.asdict` and JSON made of them."""
        colour, detail = data["colour"], data["detail"]
        if detail is not None:
            detail = {name: tuple(value) if isinstance(value, list) else value for name, value in detail.items()}
        return cls(
            num_cells=data["num_cells"],
            bright_level=data["bright_level"],
            ink=data["ink"],
            colour=None if colour is None else StainColour(**colour),
            detail=None if detail is None else Detail(**detail),
            embedding=tuple(data["embedding"]),
        )


@dataclass(frozen=True)
class Evidence:
    """One reason to doubt that a slide shows stained tissue; `weight` 1 is enough to propose dropping it."""

    weight: float
    words: str


def measure_histology(rgb: npt.NDArray[np.uint8], tissue: npt.NDArray[np.bool_]) -> HistologyFacts:
    """Look at a slide's tissue; costs about the same whatever the slide's size.

    Args:
        rgb: uint8 (H, W, 3).
        tissue: bool (H, W), `tissue_mask(rgb)`.
    """
    rgb, tissue, level = well_exposed(rgb, tissue)
    cells = cut_cells(rgb, tissue)
    if cells is None:
        return HistologyFacts(0, level, 0.0, None, None, ())
    return HistologyFacts(
        num_cells=cells.num,
        bright_level=level,
        ink=round(cells.ink, 5),
        colour=stain_colour(cells),
        detail=tissue_detail(cells),
        embedding=_embedding(rgb, cells),
    )


def histology_score(facts: HistologyFacts) -> float:
    """How surely a slide shows stained tissue, from its own pixels alone: 0 surely not, 1 surely, 0.5 no telling.

    Of two slides with the same mask the lower one is the fake.
    """
    if facts.colour is None or facts.detail is None:
        return 0.5
    # Below all thresholds two slides still differ in how even their detail is and how pure their colours are.
    uneven = 2.0 - _evenness(facts.detail) - min(facts.detail.evenness)
    slight = 0.1 * uneven + 0.1 * facts.colour.off_plane + facts.colour.across + 0.2 * facts.detail.common
    slight += 0.3 * facts.colour.grey
    return _confidence_of_tissue(sum(item.weight for item in own_evidence(facts)) + slight)


def not_histology(facts: Mapping[str, HistologyFacts]) -> Iterator[Finding]:
    """Name slides whose tissue is none: drawings, photographs, screenshots, charts.

    Clear cases are proposed for dropping, borderline ones kept and named. Yields at most one finding a slide.
    """
    distances = _distances(facts)
    for name in sorted(facts):
        evidence = own_evidence(facts[name])
        if name in distances:
            evidence.append(distances[name])
        total = sum(item.weight for item in evidence)
        if total < _BORDERLINE:
            continue
        words = "; ".join(item.words for item in sorted(evidence, key=lambda item: -item.weight) if item.weight > 0.1)
        sure = round(1.0 - _confidence_of_tissue(total), 3)
        proposal: Action = "drop" if total >= _CLEAR else "keep"
        yield Finding(name, "not-histology", "", proposal, sure, f"this is hardly stained tissue: {words}")


def own_evidence(facts: HistologyFacts) -> list[Evidence]:
    """What a slide's own pixels say against its being stained tissue."""
    colour, detail = facts.colour, facts.detail
    if colour is None or detail is None:
        return []
    evenness = _evenness(detail)
    sparse = 1.0 - _ramp(evenness, 0.25, 0.45)
    bare = 1.0 - _ramp(min(detail.evenness), 0.20, 0.42)
    hidden = 1.0 - _ramp(evenness, 0.55, 0.75)
    flat = max(_ramp(detail.flat, 0.20, 0.45), 0.7 * _ramp(detail.flat, 0.03, 0.20) * hidden)
    straight = _ramp(detail.coherence, 0.70, 0.85) * (1.0 - _ramp(evenness, 0.60, 0.75)) * bare
    found = [
        Evidence(
            1.2 * max(sparse, 0.9 * bare),
            f"its detail lies on few edges with plain areas between (evenness {evenness:.2f}; tissue has 0.5 to 1)",
        ),
        Evidence(1.2 * flat, f"{percent(detail.flat)} of it is perfectly flat"),
        Evidence(0.5 * straight, f"its edges are long and smooth (coherence {detail.coherence:.2f})"),
        Evidence(
            1.2 * _ramp(colour.across, 0.055, 0.10),
            f"its colours are no mixture of two dyes (spread {colour.across:.3f} across the stain plane; "
            "tissue has less than 0.05)",
        ),
        Evidence(
            0.6 * _ramp(colour.off_plane, 0.45, 0.80),
            f"{percent(colour.off_plane)} of it has colours that haematoxylin and eosin do not mix to",
        ),
        Evidence(0.9 * _ramp(colour.grey, 0.55, 0.95), f"{percent(colour.grey)} of it is grey"),
    ]
    # A few cells, most of them at an edge, are a small sample.
    sample = min(1.0, facts.num_cells / _ENOUGH_CELLS)
    return [Evidence(sample * item.weight, item.words) for item in found if item.weight > 0.0]


def _distances(facts: Mapping[str, HistologyFacts]) -> dict[str, Evidence]:
    """How far slides lie from the cohort, where they also lean towards a drawing."""
    # A handful of cells is no sample, and a dark slide is far from the rest whatever it shows.
    able = {n: f for n, f in sorted(facts.items()) if f.num_cells >= _FEW_CELLS and f.bright_level >= DARK_LEVEL}
    known = [(n, f.colour, f.detail) for n, f in able.items() if f.colour and f.detail and f.embedding]
    if len(known) < SMALLEST_COHORT:
        return {}
    measures = np.array([_vector(colour, detail) for _, colour, detail in known])
    scores = robust_scores(measures, floor=_FLOORS)
    apart = np.sqrt(shrunk_distance(scores) * neighbour_distance(np.array([facts[n].embedding for n, _, _ in known])))
    # A cohort of many tissues has far slides of its own; what is far there is measured by its spread.
    logs = np.log(np.maximum(apart, 1e-6))
    own_spread = np.median(logs) + _OWN_SPREADS * max(1.4826 * float(np.median(np.abs(logs - np.median(logs)))), 0.05)
    start = max(_FAR, math.exp(own_spread))
    uneven = np.max(-scores[:, :_NUM_EVENNESS], axis=1)
    grey = np.array([_LEANS * _ramp(colour.grey, 0.2, 0.5) for _, colour, _ in known])
    coloured = np.maximum(np.max(scores[:, -_NUM_COLOURS:], axis=1), grey)
    found = {}
    for (name, _, _), far, bare, odd in zip(known, apart, uneven, coloured, strict=True):
        # Ink, too, has colours that no dye has, so these alone must put a slide farther off.
        by_detail = _ramp(far, start, 1.35 * start) * _ramp(bare, 0.5 * _LEANS, _LEANS)
        by_colour = _ramp(far, 1.35 * start, 1.8 * start) * _ramp(odd, 0.5 * _LEANS, _LEANS)
        weight = 1.3 * max(by_detail, by_colour)
        if weight > 0.0:
            words = f"it lies {far:.1f} times as far from the rest of the {len(known)} slides as they from each other"
            found[name] = Evidence(weight, words)
    return found


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


def _evenness(detail: Detail) -> float:
    return (sum(detail.evenness) + min(detail.band_evenness, 1.0)) / 4.0


def _embedding(rgb: npt.NDArray[np.uint8], cells: Cells) -> tuple[float, ...]:
    height, width = rgb.shape[:2]
    side = min(_TILE_PX, height, width)
    if side < _SMALLEST_TILE_PX:
        return ()
    spread = np.linspace(0, cells.num - 1, min(_NUM_TILES, cells.num) + 2).round().astype(np.int64)[1:-1]
    picked = cells.corners[spread] + (cells.side - side) // 2
    lefts, tops = np.clip(picked[:, 0], 0, width - side), np.clip(picked[:, 1], 0, height - side)
    tiles = np.stack([rgb[y : y + side, x : x + side] for x, y in zip(lefts, tops, strict=True)])
    return tuple(round(float(value), 4) for value in texture_features(tiles).mean(axis=0))


def _confidence_of_tissue(evidence: float) -> float:
    return 1.0 / (1.0 + math.exp(_STEEPNESS * (evidence - 0.7)))


def _ramp(value: float, start: float, full: float) -> float:
    """0 up to `start`, 1 from `full` on, a straight line between."""
    return min(1.0, max(0.0, (value - start) / (full - start)))


def percent(share: float) -> str:
    """A share in words."""
    return f"{100.0 * share:.0f} %"
