"""Measure the ink on one slide: what colour, how large, on what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.auditing.ink.colours import ReducedImage, bare_glass
from tilewise.auditing.ink.facts import InkFacts, InkSpot, Kind
from tilewise.auditing.ink.fields import Bool, Field, dilate, extrapolate
from tilewise.auditing.ink.pens import find_pens
from tilewise.auditing.ink.spots import Spot, find_spots
from tilewise.units import Size

# The halo of ink looks like pale tissue; this share of the reduced image's longer side around a spot is left out.
_HALO_SHARE = 0.02
# Tissue in this share of the pixels around a spot and its halo goes on under it.
_TOUCHES = 0.05
# Tissue under a spot is worth a mention from this share of the spot, or of the slide's tissue.
_ON_TISSUE_OF_SPOT, _ON_TISSUE_OF_TISSUE = 0.10, 0.01
# A pen's line is thinner than this share of the slide's shorter side, or this many times longer than wide.
_PEN_HALF_WIDTH, _PEN_LENGTH = 0.012, 6.0
_MASK_WORTH = 0.01


@dataclass(frozen=True)
class SpotContext:
    """What lies around and under the spots.

    Attributes:
        tissue: (h, w) share of tissue in each pixel of the reduced image; under ink carried on from around it.
        mask: (h, w) share of the mask in each pixel; None without a mask.
        tissue_area, mask_area: sums of both.
        near: bool (h, w), ink and as far as its halo may reach.
        joined: bool (h, w), what bare glass does not part from tissue.
    """

    tissue: Field
    mask: Field | None
    tissue_area: float
    mask_area: float
    near: Bool
    joined: Bool

    @classmethod
    def of(cls, spots: tuple[Spot, ...], tissue: Bool, mask: Bool | None, *, image: ReducedImage) -> Self:
        """Reduce both masks to the reduced image's size and take away from the tissue what is ink."""
        size = Size(image.rgb.shape[1], image.rgb.shape[0])
        ink = np.zeros((size.height, size.width), dtype=bool)
        for spot in spots:
            ink |= spot.region
        near = dilate(ink, max(2, round(_HALO_SHARE * max(size))))
        shares = _reduce(tissue, size)
        joined = _connected_to(bare_glass(image), (shares > 0.5) & ~near)
        under = np.clip(extrapolate(shares, ~near), 0.0, 1.0)
        # Between ink and tissue that it does not touch lies glass, and there is no tissue under the ink.
        under[near & ~joined] = 0.0
        reduced = None if mask is None else _reduce(mask, size)
        return cls(under, reduced, float(under.sum()), 0.0 if reduced is None else float(reduced.sum()), near, joined)

    def mask_share(self, region: Bool) -> float:
        """Share of the mask within a region of the reduced image, 0 without a mask."""
        if self.mask is None or self.mask_area == 0.0:
            return 0.0
        return float(self.mask[region].sum()) / self.mask_area


def measure_ink(
    rgb: npt.NDArray[np.uint8], tissue: npt.NDArray[np.bool_], mask: npt.NDArray[np.bool_] | None
) -> InkFacts:
    """Find ink by colours that neither haematoxylin nor eosin has, in areas as even as only paint is.

    Strict seeds, then the loose shell that touches them (hysteresis: Canny, IEEE TPAMI 8(6), 1986). The slide is
    looked at 512 pixels a side.

    Args:
        rgb: uint8 (H, W, 3).
        tissue: bool (H, W), of `tissue_mask`; it may hold the ink itself.
        mask: bool (H, W), the region of interest; None without one.
    """
    image = ReducedImage.of(rgb)
    spots = find_spots(image)
    lines = find_pens(image)
    if not spots:
        return InkFacts(spots=lines)
    context = SpotContext.of(spots, tissue, mask, image=image)
    kinds = spot_kinds(spots, context)
    measured = tuple(_measure_spot(spot, kind, context, image.scale) for spot, kind in zip(spots, kinds, strict=True))
    blobs = [spot for spot in measured if spot.kind == "blob"]
    return InkFacts(
        spots=measured + tuple(line for line in lines if not _within_any(line, measured)),
        area_share=_share(sum(spot.area_share for spot in blobs)),
        tissue_share=_share(sum(spot.tissue_share for spot in blobs)),
        mask_on_ink=_share(sum(spot.mask_share for spot in measured)),
    )


def _within_any(line: InkSpot, spots: tuple[InkSpot, ...]) -> bool:
    """Whether the middle of a line lies in the box of a spot: it is that spot, or a part of it."""
    x, y = line.x + line.width // 2, line.y + line.height // 2
    return any(spot.x <= x <= spot.x + spot.width and spot.y <= y <= spot.y + spot.height for spot in spots)


def spot_kinds(spots: tuple[Spot, ...], context: SpotContext) -> tuple[Kind, ...]:
    """Tell blobs from pen lines; small drops of a blob's colour belong to the blob."""
    kinds = [_kind(spot.region, harmless=not _harms(spot, context)) for spot in spots]
    colours = {spot.colour for spot, kind in zip(spots, kinds, strict=True) if kind == "blob"}
    return tuple(
        "blob" if kind == "blob" or (kind == "small" and spot.colour in colours) else "pen"
        for spot, kind in zip(spots, kinds, strict=True)
    )


def _harms(spot: Spot, context: SpotContext) -> bool:
    return _on_tissue(spot, context) or context.mask_share(spot.region) > _MASK_WORTH


def _connected_to(bare: Bool, tissue: Bool) -> Bool:
    """Everything but bare glass that hangs together with tissue."""
    _, labels = cv2.connectedComponents((~bare).astype(np.uint8), connectivity=8)
    with_tissue = np.unique(labels[tissue & ~bare])
    return np.asarray(np.isin(labels, with_tissue), dtype=bool)


def _on_tissue(spot: Spot, context: SpotContext) -> bool:
    if not context.joined[spot.region].any():
        return False
    tissue = float(context.tissue[spot.region].sum())
    share = tissue / max(context.tissue_area, 1.0)
    return tissue > _ON_TISSUE_OF_SPOT * spot.area or share > _ON_TISSUE_OF_TISSUE or _touches(spot.region, context)


def _measure_spot(spot: Spot, kind: Kind, context: SpotContext, scale: float) -> InkSpot:
    x, y, box_width, box_height = cv2.boundingRect(spot.region.astype(np.uint8))
    return InkSpot(
        colour=spot.colour,
        kind=kind,
        x=int(x / scale),
        y=int(y / scale),
        width=max(1, round(box_width / scale)),
        height=max(1, round(box_height / scale)),
        area_share=_share(spot.area / spot.region.size),
        tissue_share=_share(float(context.tissue[spot.region].sum()) / max(context.tissue_area, 1.0)),
        mask_share=_share(context.mask_share(spot.region)),
        on_tissue=_on_tissue(spot, context),
        confidence=spot.confidence,
    )


def _touches(region: Bool, context: SpotContext) -> bool:
    reach = max(2, round(_HALO_SHARE * max(region.shape)))
    ring = dilate(region, reach + 3) & ~context.near
    return bool(ring.any()) and float(context.tissue[ring].mean()) > _TOUCHES


def _kind(region: Bool, *, harmless: bool) -> Literal["blob", "pen", "small"]:
    """A thin line is a pen's wherever it lies; a broad stroke, or what lies along the border, where it does no harm."""
    framed = np.pad(region, 1).astype(np.uint8)
    half_width = float(cv2.distanceTransform(framed, cv2.DIST_L2, 5).max())
    area = float(np.count_nonzero(region))
    # Of a line of length L and width w this is 1.3 L / w; of a disc 1.
    length = area / (np.pi * half_width**2)
    border = max(np.mean(side) for side in (region[0], region[-1], region[:, 0], region[:, -1]))
    if half_width < max(2.0, _PEN_HALF_WIDTH * min(region.shape)):
        return "pen" if length > _PEN_LENGTH else "small"
    return "pen" if harmless and (length > _PEN_LENGTH or border > 0.3) else "blob"


def _reduce(mask: Bool, size: Size) -> Field:
    reduced: Field = cv2.resize(mask.astype(np.uint8) * np.uint8(255), size, interpolation=cv2.INTER_AREA)
    return np.asarray(reduced, dtype=np.float32) / np.float32(255)


def _share(value: float) -> float:
    return round(min(1.0, float(value)), 6)
