"""How far ink reaches, pixel by pixel: the share of ink in each by unmixing its colour from what lies beneath."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.auditing.ink.background import Background, estimate_background
from tilewise.auditing.ink.colours import ReducedImage, bare_glass
from tilewise.auditing.ink.drops import find_drops
from tilewise.auditing.ink.facts import InkFacts
from tilewise.auditing.ink.fields import Bool, Field, dilate, extrapolate, fill_holes
from tilewise.auditing.ink.spots import Spot, find_spots
from tilewise.units import Box, Size

# A halo is looked for this far from the core: a share of the shorter side, within bounds in pixels.
_REACH_SHARE, _REACH_PX = 0.035, (6, 48)
# Share of ink in a pixel: of the core; of the halo where glass shows it pixel by pixel, and on the average of a ring.
_CORE, _ON_GLASS, _ON_RING = 0.5, 0.03, 0.025
# A highlight is this much brighter than glass, grey levels, or holds this share of ink.
_BRIGHTER, _TINT = 5.0, 0.12
# Below this share of tissue around it, a pixel beside ink that looks like glass with ink on it is just that.
_LIKELY_GLASS = 0.5
# Of a ring's pixels this percentile tells; the rest may hold something else. Width of a halo nothing tells of.
_OF_RING, _DEFAULT_HALO = 40, 0.3
# Drops beside a spot are looked for this far around it, as a share of its longer side.
_DROPS_WITHIN = 0.6
# Grey levels by which a mixture of ink and glass may miss the line between their colours.
_OFF_LINE = 16.0
_LARGEST_HOLE = 0.2
# Fewer pixels than this in a ring say nothing about it.
_FEWEST_IN_RING = 40


@dataclass(frozen=True)
class InkMap:
    """Ink on the whole slide, level 0.

    Attributes:
        core: bool (H, W), where ink hides what is beneath, highlights included.
        halo: bool (H, W), the rest of what ink has changed visibly.
    """

    core: npt.NDArray[np.bool_]
    halo: npt.NDArray[np.bool_]

    @property
    def ink(self) -> npt.NDArray[np.bool_]:
        """Core and halo; bool (H, W)."""
        both: npt.NDArray[np.bool_] = self.core | self.halo
        return both


@dataclass(frozen=True)
class UnmixingContext:
    """What every spot of a slide is unmixed from.

    Attributes:
        rgb: uint8 (H, W, 3), the slide.
        image: it, reduced.
        background: its glass.
        tissue_colour: float32 (h, w, 3) of the reduced image, tissue carried on under ink and glass.
        tissue_share: float32 (h, w) of the reduced image, how surely it is tissue; under ink carried on from around it.
        reach: pixels of level 0 that a halo may extend.
    """

    rgb: npt.NDArray[np.uint8]
    image: ReducedImage
    background: Background
    tissue_colour: Field
    tissue_share: Field
    reach: int


def ink_map(rgb: npt.NDArray[np.uint8], facts: InkFacts | None = None) -> InkMap:
    """Mark ink at full resolution; depends on nothing but the pixels.

    A pixel's share of ink is where its colour lies between what lies beneath and the ink (two end members, one
    unknown). On glass that shows a faint halo pixel by pixel. On tissue it does not, so there the halo reaches as far
    as rings around the core show ink on their average.

    Args:
        rgb: uint8 (H, W, 3).
        facts: of `measure_ink`; where they hold no spot, nothing is looked for.
    """
    nothing = np.zeros(rgb.shape[:2], dtype=bool)
    if facts is not None and not facts.spots:
        return InkMap(nothing, nothing.copy())
    image = ReducedImage.of(rgb)
    spots = find_spots(image)
    core, halo, _ = extents(rgb, image, spots) if spots else (nothing, nothing.copy(), None)
    return InkMap(core, halo)


def extents(rgb: npt.NDArray[np.uint8], image: ReducedImage, spots: tuple[Spot, ...]) -> tuple[Bool, Bool, Background]:
    """Core and halo of these spots, bool (H, W) each, and the glass that was found beside them."""
    context = _unmixing_context(rgb, image, spots)
    core = np.zeros(rgb.shape[:2], dtype=bool)
    halo = np.zeros_like(core)
    for spot in spots:
        box = _box(spot, context)
        spot_core, spot_halo = _extent(spot, box, context)
        core[box.rows, box.columns] |= spot_core
        halo[box.rows, box.columns] |= spot_halo
    return core, halo & ~core, context.background


def _unmixing_context(rgb: npt.NDArray[np.uint8], image: ReducedImage, spots: tuple[Spot, ...]) -> UnmixingContext:
    height, width = rgb.shape[:2]
    reach = int(np.clip(_REACH_SHARE * min(height, width), *_REACH_PX))
    ink = np.zeros(image.rgb.shape[:2], dtype=bool)
    for spot in spots:
        ink |= spot.region
    near = dilate(ink, round(reach * image.scale) + 2)
    empty = bare_glass(image) & ~near
    glass = dilate(~empty, 2) ^ True
    whole = cv2.resize(glass.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST).astype(bool)
    background = estimate_background(rgb, whole)
    colour = extrapolate(image.rgb, ~(near | empty))
    return UnmixingContext(rgb, image, background, colour, extrapolate((~empty).astype(np.float32), ~near), reach)


def _box(spot: Spot, context: UnmixingContext) -> Box:
    x, y, width, height = cv2.boundingRect(spot.region.astype(np.uint8))
    scale = context.image.scale
    margin = max(2 * context.reach, int(_DROPS_WITHIN * max(width, height) / scale))
    left, top = int(x / scale) - margin, int(y / scale) - margin
    box = Box(left, top, int(width / scale) + 2 * margin + 2, int(height / scale) + 2 * margin + 2)
    clipped = box.clip(Size(context.rgb.shape[1], context.rgb.shape[0]))
    assert clipped is not None  # a spot lies on the slide
    return clipped


def _extent(spot: Spot, box: Box, context: UnmixingContext) -> tuple[Bool, Bool]:
    """Core and halo of one spot within its box."""
    image = context.image
    picture = context.rgb[box.rows, box.columns].astype(np.float32)
    ink = _enlarge(extrapolate(image.rgb, spot.seeds), box, context)
    glass = context.background.smooth(box)
    tissue = _enlarge(context.tissue_colour, box, context)
    on_glass, off_line = _unmix(picture, glass, ink)
    on_tissue, off_tissue = _unmix(picture, tissue, ink)
    bare = (off_line < _OFF_LINE) & (off_line < off_tissue + 4.0)
    core = _core(spot, box, context, np.where(bare, on_glass, on_tissue))
    core |= _shine(core, picture, glass, on_glass, bare=bare)
    core |= find_drops(context.rgb[box.rows, box.columns], core, context.reach)
    distance = cv2.distanceTransform((~core).astype(np.uint8), cv2.DIST_L2, 5)
    within = distance <= context.reach
    beside = bare & within & (_enlarge(context.tissue_share, box, context) < _LIKELY_GLASS)
    width = _halo_width(distance, on_glass, beside, context.reach)
    if width is None:
        width = _halo_width(distance, _against_all(picture, core, distance > context.reach), within, context.reach)
    if width is None:
        width = _DEFAULT_HALO * context.reach
    faint = bare & (cv2.blur(np.where(bare, on_glass, 0.0), (3, 3)) > _ON_GLASS)
    halo = (distance <= width + 1.0) | (faint & (distance <= 1.5 * width + 3.0))
    return core, halo & ~core


def _shine(core: Bool, picture: Field, glass: Field, on_glass: Field, *, bare: Bool) -> Bool:
    """Highlights open to the outside: within the hull of the core, brighter than glass or a tint of the ink."""
    outlines, _ = cv2.findContours(core.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hull = np.zeros(core.shape, np.uint8)
    for outline in outlines:
        cv2.fillConvexPoly(hull, cv2.convexHull(outline), 1)
    brighter = (picture - glass).mean(axis=2) > _BRIGHTER
    shine = ((brighter | (bare & (on_glass > _TINT))) & (hull > 0)) | core
    shine = cv2.morphologyEx(shine.astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)) | core
    _, labels = cv2.connectedComponents(shine.astype(np.uint8), connectivity=4)
    touching = np.unique(labels[core])
    joined = np.isin(labels, touching[touching > 0])
    return fill_holes(joined, largest=_LARGEST_HOLE * float(np.count_nonzero(core)))


def _enlarge(field: Field, box: Box, context: UnmixingContext) -> Field:
    scale = context.image.scale
    x = (np.arange(box.x, box.right, dtype=np.float32) + 0.5) * scale - 0.5
    y = (np.arange(box.y, box.bottom, dtype=np.float32) + 0.5) * scale - 0.5
    map_x, map_y = np.meshgrid(x, y)
    enlarged: Field = cv2.remap(field, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return enlarged


def _unmix(picture: Field, beneath: Field, ink: Field) -> tuple[Field, Field]:
    """Share of ink in each pixel, and by how many grey levels its colour misses the line of mixtures."""
    towards = ink - beneath
    changed = picture - beneath
    share = (changed * towards).sum(axis=2) / np.maximum((towards * towards).sum(axis=2), 1.0)
    miss = np.sqrt(((changed - share[:, :, None] * towards) ** 2).sum(axis=2))
    return share.astype(np.float32), miss.astype(np.float32)


def _against_all(picture: Field, core: Bool, outside: Bool) -> Field:
    """Share of ink in each pixel, by the direction of colour in which nothing around the spot varies.

    Generalised least squares: the slide's own variety, glass to dark nuclei, is the noise.
    """
    others = picture[outside][:: max(1, np.count_nonzero(outside) // 20_000)]
    if len(others) < _FEWEST_IN_RING:
        return np.zeros(core.shape, np.float32)
    centre = np.median(others, axis=0)
    ink = np.median(picture[core], axis=0) - centre
    noise = np.cov(others.T) + 4.0 * np.eye(3)
    direction = np.linalg.solve(noise, ink)
    scale = max(float(ink @ direction), 1e-6)
    share: Field = ((picture - centre.astype(np.float32)) @ (direction / scale).astype(np.float32)).astype(np.float32)
    return share


def _core(spot: Spot, box: Box, context: UnmixingContext, share: Field) -> Bool:
    """What is more ink than anything else, near the spot that the reduced image showed, and the spot's inside."""
    size = (context.rgb.shape[1], context.rgb.shape[0])
    step = max(1, round(1.0 / context.image.scale))
    region = cv2.resize(spot.region.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)[box.rows, box.columns] > 0
    inside = ~dilate(~region, step)
    mostly = cv2.medianBlur((share > _CORE).astype(np.uint8), 3).astype(bool)
    core = inside | (mostly & dilate(region, 3 * step))
    core = fill_holes(core, largest=_LARGEST_HOLE * float(np.count_nonzero(core)))
    return np.asarray(core, dtype=bool)


def _halo_width(distance: Field, share: Field, where: Bool, reach: int) -> float | None:
    """The farthest ring around the core whose pixels hold ink for the most part; None where too few tell.

    Args:
        distance: to the core, pixels.
        share: of ink in each pixel.
        where: pixels that tell.
        reach: of the last ring. What the outer rings show is no ink.
    """
    ring = np.ceil(distance[where]).astype(np.intp)
    order = np.argsort(ring, kind="stable")
    starts = np.searchsorted(ring[order], np.arange(1, reach + 2))
    if np.count_nonzero(np.diff(starts) >= _FEWEST_IN_RING) < max(3, reach // 2):
        return None
    rings = np.split(share[where][order], starts)[1:-1]
    levels = np.array([np.percentile(one, _OF_RING) if one.size >= _FEWEST_IN_RING else np.nan for one in rings])
    known = np.flatnonzero(~np.isnan(levels))
    levels = np.interp(np.arange(levels.size), known, levels[known])
    outer = levels[-max(3, reach // 4) :]
    if np.ptp(outer) > 2 * _ON_RING:
        return None
    inked = np.flatnonzero(levels - np.median(outer) > _ON_RING)
    # Rings are followed outwards as long as they hold ink; one beyond a gap is something else.
    gaps = np.flatnonzero(np.diff(inked, prepend=-1) > 2)
    inked = inked[: gaps[0]] if gaps.size else inked
    return float(inked[-1] + 1) if inked.size else 1.0
