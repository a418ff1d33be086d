"""Draw one slide of a synthetic cohort: the picture, its mask and where its tissue is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.synthetic.config import SynthConfig
from tilewise.synthetic.fields import Field, soft_step
from tilewise.synthetic.geometry import Core, Layout, Zone, draw_layout, outline, slide_to_strip, zone_outline
from tilewise.synthetic.latents import draw_unlabelled, to_unit
from tilewise.synthetic.optics import draw_appearance, draw_glass, scan, shine_through
from tilewise.synthetic.plan import PlannedSlide
from tilewise.synthetic.shapes import OutlineShape, shaped_outline
from tilewise.synthetic.texture import Tissue, TumourAppearance, paint_duct, paint_fat, paint_stroma, paint_tumour
from tilewise.units import Size

# Goes up whenever the same config gives other pixels or masks than before.
DRAWING_VERSION = 1

# Streams of random numbers of one slide (7 is the latents'): a change in one leaves the others as they are.
_LAYOUT, _LOOK, _GLASS, _SCAN, _LOOKALIKES, _TISSUE = range(1, 7)
# Pieces of a zone smaller than this many pixels, cut off by the tissue's edge, stay plain tissue and unmarked.
_SMALLEST_PIECE_PX = 150
# What bending the core still parts may be this small.
_SMALLEST_REGION_PX = 20
# A zone's texture starts this far inside its outline and is full that much deeper, so that blur and compression
# carry nothing of it across the outline.
_MARGIN_PX, _FADE_PX = 3.0, 8.0


@dataclass(frozen=True)
class DrawnSlide:
    """One slide as it is written.

    Attributes:
        rgb: uint8 (H, W, 3).
        mask: bool (H, W), the regions of interest.
        tissue: bool (H, W), where the cores are; holes within them count as tissue.
    """

    rgb: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.bool_]
    tissue: npt.NDArray[np.bool_]


def layout_of(config: SynthConfig, planned: PlannedSlide) -> Layout:
    """Where the slide's cores, fragments and zones lie."""
    return draw_layout(planned.stream(_LAYOUT), config.min_side_px)


@dataclass(frozen=True)
class Canvas:
    """Layers of a slide while cores are laid onto it; float32 (H, W) each.

    Attributes:
        haematoxylin, eosin: optical density of the dyes.
        tissue: share of the pixel that lies in a core.
        region: share of the pixel that lies in a region of interest.
    """

    haematoxylin: Field
    eosin: Field
    tissue: Field
    region: Field

    @classmethod
    def empty(cls, size: Size) -> Self:
        """Glass only."""
        return cls(*(np.zeros((size.height, size.width), np.float32) for _ in range(4)))

    def lay_down(self, core: Core, strip: npt.NDArray[np.float32]) -> None:
        """Bend a core's strip onto the slide, over what is there.

        Args:
            core: where the strip lies.
            strip: (height, width, 4) of the core's strip: the layers in the order above, the dyes already multiplied
                by what covers the pixel.
        """
        placed = slide_to_strip(core, Size(self.tissue.shape[1], self.tissue.shape[0]))
        if placed is None:
            return
        box, u, v = placed
        laid = cv2.split(cv2.remap(strip, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0.0))
        glass = 1.0 - laid[2]
        for layer, over in zip((self.haematoxylin, self.eosin, self.tissue, self.region), laid, strict=True):
            below = layer[box.rows, box.columns]
            below *= glass
            below += over


def draw_slide(config: SynthConfig, planned: PlannedSlide) -> DrawnSlide:
    """Draw a slide of `plan_cohort(config)`; depends on nothing but its arguments."""
    layout = layout_of(config, planned)
    canvas = Canvas.empty(layout.size)
    tumours = _tumours(config, planned, layout.zones)
    shape = OutlineShape.of(planned.unit) if config.signal == "mask_shape" else None
    look = draw_appearance(planned.stream(_LOOK))
    for index, core in enumerate(layout.cores + layout.fragments):
        zones = {zone: tumour for zone, tumour in tumours.items() if zone.core == index}
        strip = draw_strip(np.random.default_rng([planned.seed, planned.index, _TISSUE, index]), core, zones, shape)
        # Blurred here and not on the slide: most of the slide is glass, where nothing is to be blurred.
        strip[:, :, :3] = cv2.GaussianBlur(np.ascontiguousarray(strip[:, :, :3]), (0, 0), look.blur_px)
        canvas.lay_down(core, strip)
    picture = draw_glass(planned.stream(_GLASS), layout.size, look)
    shine_through(picture, canvas.haematoxylin, canvas.eosin, look)
    rgb = scan(planned.stream(_SCAN), picture, look)
    tissue = canvas.tissue > 0.1
    mask = _without_islands((canvas.region > 0.5) & tissue, smallest=_SMALLEST_REGION_PX)
    return DrawnSlide(rgb, mask, tissue)


def draw_strip(
    rng: np.random.Generator, core: Core, zones: dict[Zone, TumourAppearance | None], shape: OutlineShape | None
) -> npt.NDArray[np.float32]:
    """Paint one core, still straight.

    Args:
        rng: of the core's stroma and outline; every zone has its own.
        core: what to paint.
        zones: the core's zones, and for those that hold tumour its look.
        shape: of the regions in the mask; None where they are the zones' own outlines.

    Returns:
        float32 (height, width, 4): haematoxylin, eosin, tissue, region.
    """
    distance = outline(core, rng, breaks=int(rng.poisson(core.length / 900)) if zones else 0)
    tissue = Tissue(*(np.zeros(core.strip_shape, np.float32) for _ in range(3)))
    paint_stroma(tissue, rng)
    region = np.zeros(core.strip_shape, dtype=bool)
    for zone, tumour in zones.items():
        drawn = zone_outline(zone, core)
        _paint_zone(tissue, zone, tumour, drawn=drawn, pieces=_pieces(drawn, distance))
        if zone.kind == "region":
            region |= _pieces(drawn if shape is None else shaped_outline(zone, core, shape), distance)
    # Nothing is seen of what lies outside the tissue's edge: there alpha is 0.
    alpha = soft_step(distance - np.float32(0.8), 1.6)
    dyes = alpha * tissue.cover
    return np.stack([tissue.haematoxylin * dyes, tissue.eosin * dyes, alpha, region.astype(np.float32)], axis=2)


def _tumours(
    config: SynthConfig, planned: PlannedSlide, zones: tuple[Zone, ...]
) -> dict[Zone, TumourAppearance | None]:
    """How each zone looks: regions as the slide's latents say, lookalikes as any slide's might."""
    others = draw_unlabelled(config, planned.stream(_LOOKALIKES), num=len(zones))
    appearances: dict[Zone, TumourAppearance | None] = {}
    # Without signal in the texture all regions of a slide still share one look, as they do with it.
    shared = planned.unit if config.signal == "texture" or not len(zones) else to_unit(config, others[0])
    for zone, other in zip(zones, others, strict=True):
        appearances[zone] = {
            "region": TumourAppearance.of(shared),
            "distractor": TumourAppearance.of(to_unit(config, other)),
        }.get(zone.kind)
    return appearances


def _pieces(drawn: npt.NDArray[np.uint8], distance: Field) -> npt.NDArray[np.bool_]:
    """The parts of an outline that lie in the tissue, but for threads and crumbs."""
    opened = cv2.morphologyEx(drawn * (distance > 0.0).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    return _without_islands(opened.astype(bool), smallest=_SMALLEST_PIECE_PX)


def _paint_zone(
    tissue: Tissue,
    zone: Zone,
    tumour: TumourAppearance | None,
    *,
    drawn: npt.NDArray[np.uint8],
    pieces: npt.NDArray[np.bool_],
) -> None:
    x, y, width, height = cv2.boundingRect(drawn)
    if width == 0:
        return
    rows, columns = slice(y, y + height), slice(x, x + width)
    # Beyond the window's border lies no more of the outline: the frame of zeros says so to the distance.
    framed = cv2.copyMakeBorder(drawn[rows, columns], 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    depth: Field = cv2.distanceTransform(framed, cv2.DIST_L2, 5)[1:-1, 1:-1]
    within = np.clip((depth - _MARGIN_PX) / _FADE_PX, 0.0, 1.0)
    window, rng = tissue.window(rows, columns), np.random.default_rng([zone.seed, 2])
    painted = window.copy()
    if tumour is not None:
        paint_tumour(painted, rng, within, tumour)
    elif zone.kind == "fat":
        paint_fat(painted, rng, within)
    else:
        paint_duct(painted, rng, within)
    window.take(painted, where=pieces[rows, columns])


def _without_islands(mask: npt.NDArray[np.bool_], *, smallest: int) -> npt.NDArray[np.bool_]:
    """The mask, changed in place, without connected parts of fewer pixels."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    for island in np.flatnonzero(stats[:, cv2.CC_STAT_AREA] < smallest):
        x, y, width, height = stats[island, :4]
        rows, columns = slice(y, y + height), slice(x, x + width)
        mask[rows, columns] &= labels[rows, columns] != island
    return mask
