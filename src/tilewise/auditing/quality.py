"""Can a slide be used: is there tissue, is it in focus, is it well exposed, is there as much of it as elsewhere?

Focus is judged by the strength of fine detail against coarser detail of the same tissue, noise taken off, so neither
stain nor contrast nor the amount of tissue counts (after the band-energy measures compared by Pertuz et al., Pattern
Recognit 46, 2013).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.auditing.finding import Finding
from tilewise.auditing.histology.cells import Cells, cut_cells, well_exposed
from tilewise.auditing.histology.outliers import SMALLEST_COHORT, robust_scores

_NUM_CELLS: Final = 24
_FEWEST: Final = 200
# White noise of standard deviation 1 leaves this much variance between blurs of 1 and 2 px and of 2 and 4 px.
_NOISE_IN_FINE, _NOISE_IN_COARSE = 0.0358, 0.0090
# Grey levels. No scanner is as noisy; what looks so is grain of another origin, and says nothing about focus.
_LOUDEST_NOISE: Final = 5.0
_NOISE_KERNEL: Final = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
_WHITE: Final = 254

_BLANK_SHARE, _HARDLY_ANY, _FAINT = 0.0005, 0.01, 0.14
_PINKER, _WASHED_SHARE = 2, 0.02
# Of a smaller slide nothing is cut out to be measured.
_ENOUGH_PIXELS: Final = 40_000
# Fine over coarse detail: soft real sections reach down to 0.45, one blurred by 4 px of a gaussian lies at 0.35.
_SOFT, _HOPELESS = 0.40, 0.27
# Falls against the cohort's median that are named, with at least so many robust standard deviations; and hopeless ones.
_FALL, _FAR, _HOPELESS_FALL, _VERY_FAR = 0.72, 4.0, 0.45, 7.0
# The brightest level of a slide.
_DIM, _TOO_DIM = 170, 100
# Median density of the tissue in a slide with clipped glass.
_PALE, _TOO_PALE, _CLIPPED = 0.10, 0.06, 0.30
_DENSITY_FALL: Final = 0.62
_AREA_FAR, _AREA_VERY_FAR, _AREA_RATIO, _AREA_TINY = 4.0, 6.0, 3.0, 30.0


@dataclass(frozen=True)
class QualityFacts:
    """What tells whether a slide can be used.

    Attributes:
        num_pixels: of the slide.
        tissue_share: share of the pixels that is tissue, 0 to 1, in good light.
        bright_level: grey level that 2 % of the slide's pixels exceed in its brightest channel.
        white_share: share of the slide's pixels that is clipped white.
        faint_share: share of the slide that is slightly pinker than its glass, as tissue is that light has washed out.
        density: median optical density of stained tissue; None without tissue.
        sharpness: strength of detail of 1 to 2 px over that of 2 to 4 px in tissue; None without tissue.
        glass: median colour of what is no tissue, red, green and blue from 0 to 255; None where all is tissue.
    """

    num_pixels: int
    tissue_share: float
    bright_level: float
    white_share: float
    faint_share: float
    density: float | None
    sharpness: float | None
    glass: tuple[float, float, float] | None = None


def measure_quality(rgb: npt.NDArray[np.uint8], tissue: npt.NDArray[np.bool_]) -> QualityFacts:
    """Measure light, focus and amount of tissue.

    Args:
        rgb: uint8 (H, W, 3).
        tissue: bool (H, W), `tissue_mask(rgb)`.
    """
    lit, lit_tissue, level = well_exposed(rgb, tissue)
    step = max(1, int((rgb.size / 3 / 60_000) ** 0.5))
    sparse = rgb[::step, ::step]
    white = (sparse >= _WHITE).all(axis=2).mean()
    glass = sparse[~tissue[::step, ::step]]
    cells = cut_cells(lit, lit_tissue, most=_NUM_CELLS)
    enough = cells is not None and cells.used.sum() >= _FEWEST
    return QualityFacts(
        num_pixels=int(tissue.size),
        tissue_share=round(float(np.count_nonzero(lit_tissue)) / tissue.size, 6),
        bright_level=level,
        white_share=round(float(white), 4),
        # Only of a slide that seems to have no tissue at all is it asked whether some is too pale to be seen.
        faint_share=_faint_share(rgb) if np.count_nonzero(lit_tissue) < _BLANK_SHARE * tissue.size else 0.0,
        density=round(float(np.median(cells.density.mean(axis=2)[cells.used])), 4) if cells and enough else None,
        sharpness=_sharpness(cells) if cells and enough else None,
        glass=tuple(np.median(glass, axis=0).tolist()) if len(glass) else None,
    )


def quality_findings(facts: Mapping[str, QualityFacts]) -> Iterator[Finding]:
    """Name slides that are blank, blurred, dark, bright, or hold far more or less tissue than the rest.

    Blank slides are proposed for dropping; of the rest only extremes are. Comparison with the cohort starts at twenty
    slides.
    """
    for name in sorted(facts):
        fact = facts[name]
        if _washed_out(fact):
            words = f"{100 * fact.faint_share:.0f} % of it is tissue so pale that it hardly differs from glass"
            yield Finding(name, "bright", "", "drop", 0.9, words)
        elif _blank(fact):
            words = f"only {100 * fact.tissue_share:.2f} % of the slide is darker than glass, and that is no tissue"
            yield Finding(name, "blank", "", "drop", 0.99 if fact.tissue_share == 0.0 else 0.9, words)
        elif _too_thin(fact):
            words = f"{100 * fact.tissue_share:.1f} % of it is darker than glass, and nothing of that as wide as tissue"
            yield Finding(name, "blank", "", "keep", 0.6, words)
    full = {
        name: fact for name, fact in sorted(facts.items())
        if not _blank(fact) and not _washed_out(fact) and not _too_thin(fact)
    }  # fmt: skip
    yield from _blurred(full)
    yield from _dark(full)
    yield from _bright(full)
    yield from _areas(full)


def _blank(fact: QualityFacts) -> bool:
    if fact.tissue_share < _BLANK_SHARE:
        return True
    # Dust, streaks and the edge of the glass are darker than glass as well, but faint, or too thin for any cell.
    return fact.tissue_share < _HARDLY_ANY and (fact.density is None or fact.density < _FAINT)


def _too_thin(fact: QualityFacts) -> bool:
    """Whether what is darker than glass is lines alone: a ruler, a grid, writing."""
    return fact.density is None and fact.tissue_share >= _HARDLY_ANY and fact.num_pixels >= _ENOUGH_PIXELS


def _washed_out(fact: QualityFacts) -> bool:
    return fact.tissue_share < _BLANK_SHARE and fact.faint_share > _WASHED_SHARE


def _faint_share(rgb: npt.NDArray[np.uint8]) -> float:
    """Share of blocks of 8 px whose red exceeds green by more than on the slide's glass; means, so noise is gone."""
    size = (max(1, rgb.shape[1] // 8), max(1, rgb.shape[0] // 8))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA).astype(np.int16)
    pink = small[:, :, 0] - small[:, :, 1]
    return round(float((pink > np.median(pink) + _PINKER).mean()), 4)


def _sharpness(cells: Cells) -> float | None:
    """Detail at 1 px against that at 2 px, without noise; None where the noise is too loud to hear anything else."""
    grey = cv2.cvtColor(cells.rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    first, second, third = (cv2.GaussianBlur(grey, (0, 0), scale)[cells.used] for scale in (1.0, 2.0, 4.0))
    noise = float(np.median(np.abs(cv2.filter2D(grey, -1, _NOISE_KERNEL)[cells.used]))) / 6 / 0.6745
    if noise > _LOUDEST_NOISE:
        return None
    fine = float(((first - second) ** 2).mean()) - _NOISE_IN_FINE * noise**2
    coarse = float(((second - third) ** 2).mean()) - _NOISE_IN_COARSE * noise**2
    return round(math.sqrt(max(fine, 0.0) / max(coarse, 1e-3)), 4)


@dataclass(frozen=True)
class _Deviation:
    """A slide's value against those of its cohort: over their median, and in robust standard deviations from it."""

    ratio: float = 1.0
    score: float = 0.0

    def is_below(self, ratio: float, score: float) -> bool:
        return self.ratio < ratio and self.score < -score


def _blurred(facts: Mapping[str, QualityFacts]) -> Iterator[Finding]:
    values = {name: fact.sharpness for name, fact in facts.items() if fact.sharpness is not None}
    deviations = _deviations({name: math.log(max(value, 1e-3)) for name, value in values.items()}, floor=0.06)
    for name, value in values.items():
        deviation = deviations.get(name, _Deviation())
        is_outlier = deviation.is_below(_FALL, _FAR)
        if value < _SOFT or is_outlier:
            is_hopeless = value < _HOPELESS or deviation.is_below(_HOPELESS_FALL, _VERY_FAR)
            words = f"its finest detail is {value:.2f} of the next coarser (in focus 0.45 to 1.3)"
            words += f", {deviation.ratio:.2f} times what the rest has" if is_outlier else ""
            yield _graded(name, "blurred", words, is_hopeless=is_hopeless)


def _dark(facts: Mapping[str, QualityFacts]) -> Iterator[Finding]:
    deviations = _deviations({name: math.log(fact.bright_level + 1.0) for name, fact in facts.items()}, floor=0.04)
    for name, fact in facts.items():
        deviation = deviations.get(name, _Deviation())
        is_outlier = deviation.is_below(_FALL, _FAR)
        if fact.bright_level < _DIM or is_outlier:
            words = f"its brightest parts reach level {fact.bright_level:.0f} of 255"
            words += f", {deviation.ratio:.2f} times what the rest reaches" if is_outlier else ""
            yield _graded(name, "dark", words, is_hopeless=fact.bright_level < _TOO_DIM)


def _bright(facts: Mapping[str, QualityFacts]) -> Iterator[Finding]:
    values = {name: fact.density for name, fact in facts.items() if fact.density is not None}
    deviations = _deviations({name: math.log(max(value, 1e-3)) for name, value in values.items()}, floor=0.08)
    whites = [facts[name].white_share for name in values]
    is_rare = len(whites) >= SMALLEST_COHORT and float(np.median(whites)) < 0.1 * _CLIPPED
    for name, value in values.items():
        white = facts[name].white_share
        if white <= _CLIPPED:
            continue
        deviation = deviations.get(name, _Deviation())
        is_outlier = deviation.is_below(_DENSITY_FALL, _FAR)
        if value < _PALE or is_rare or is_outlier:
            words = f"{100 * white:.0f} % of it is clipped white and its tissue has density {value:.2f}"
            words += f", {deviation.ratio:.2f} times what the rest has" if is_outlier else ""
            yield _graded(name, "bright", words, is_hopeless=value < _TOO_PALE)


def _areas(facts: Mapping[str, QualityFacts]) -> Iterator[Finding]:
    areas = {name: fact.tissue_share * fact.num_pixels for name, fact in facts.items()}
    deviations = _deviations({name: math.log(area + 1.0) for name, area in areas.items()}, floor=0.15)
    for name, deviation in deviations.items():
        if abs(deviation.score) < _AREA_FAR or max(deviation.ratio, 1.0 / deviation.ratio) < _AREA_RATIO:
            continue
        is_hopeless = deviation.is_below(1.0 / _AREA_TINY, _AREA_VERY_FAR)
        words = f"it holds {areas[name]:.0f} px of tissue, {deviation.ratio:.2g} times what the rest holds"
        yield Finding(name, "tissue-area", "", "drop" if is_hopeless else "keep", 0.7 if is_hopeless else 0.5, words)


def _graded(name: str, kind: str, words: str, *, is_hopeless: bool) -> Finding:
    """A finding that proposes to drop a hopeless slide, and only names any other."""
    return Finding(name, kind, "", "drop" if is_hopeless else "keep", 0.9 if is_hopeless else 0.6, words)


def _deviations(logs: Mapping[str, float], *, floor: float) -> dict[str, _Deviation]:
    """Deviations of all slides by their values' logarithms; empty below twenty slides."""
    if len(logs) < SMALLEST_COHORT:
        return {}
    values = np.array(list(logs.values()))
    scores = robust_scores(values, floor=floor)
    ratios = np.exp(values - np.median(values))
    return {
        name: _Deviation(float(ratio), float(score)) for name, ratio, score in zip(logs, ratios, scores, strict=True)
    }
