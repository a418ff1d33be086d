"""What tissue looks like: stroma, fat, ducts and tumour, painted as amounts of the two dyes.

Painters work on a `Tissue`, the layers of a strip or of a window of it, and change it in place. Amounts of dye are
optical densities at the wavelength each dye absorbs best, before the slide's own staining is applied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.synthetic.fields import Field, smooth_field, soft_step

# Nuclei come in this many kinds: three sizes, two directions for each.
_NUM_KINDS = 6


@dataclass(frozen=True)
class Tissue:
    """Layers of one shape (height, width), float32.

    Attributes:
        haematoxylin: optical density of haematoxylin.
        eosin: optical density of eosin.
        cover: share of the pixel that is tissue, 0..1; holes and glass are 0.
    """

    haematoxylin: Field
    eosin: Field
    cover: Field

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        height, width = self.cover.shape
        return height, width

    def window(self, rows: slice, columns: slice) -> Self:
        """A view of a part; painting it paints the whole."""
        return type(self)(self.haematoxylin[rows, columns], self.eosin[rows, columns], self.cover[rows, columns])

    def copy(self) -> Self:
        """The same layers, to be painted apart."""
        return type(self)(self.haematoxylin.copy(), self.eosin.copy(), self.cover.copy())

    def take(self, other: Tissue, *, where: npt.NDArray[np.bool_]) -> None:
        """Take over another tissue's layers at some pixels, in place."""
        np.copyto(self.haematoxylin, other.haematoxylin, where=where)
        np.copyto(self.eosin, other.eosin, where=where)
        np.copyto(self.cover, other.cover, where=where)


@dataclass(frozen=True)
class TumourAppearance:
    """How a stretch of tumour looks.

    Attributes:
        nuclear_radius: pixels.
        nuclear_spread: relative spread of the nuclear radius.
        nuclear_share: share of the places in a nest that hold a nucleus.
        lumen_share: share of the nest's inside that is hollow.
        nest_px: correlation length of the nests, pixels.
        haematoxylin: optical density of a nucleus.
        tumour_share: share of the zone that is nest; the rest is stroma.
    """

    nuclear_radius: float
    nuclear_spread: float
    nuclear_share: float
    lumen_share: float
    nest_px: float
    haematoxylin: float
    tumour_share: float

    @classmethod
    def of(cls, unit: tuple[float, ...]) -> Self:
        """The look of latents in 0..1, in the order of `latents.TEXTURE_LATENTS`; each changes one thing."""
        size, density, nest, stain, gland_loss, share = unit
        return cls(
            nuclear_radius=1.15 + 1.35 * size,
            nuclear_spread=0.10 + 0.25 * size,
            nuclear_share=0.38 + 0.57 * density,
            lumen_share=0.38 * (1.0 - gland_loss) ** 1.3,
            nest_px=5.0 * 3.4**nest,
            haematoxylin=0.55 + 0.65 * stain,
            tumour_share=0.30 + 0.48 * share,
        )


def paint_stroma(tissue: Tissue, rng: np.random.Generator) -> None:
    """Fill everything with wavy collagen along x, clefts, scattered fibroblasts and clouds of lymphocytes."""
    shape = tissue.shape
    coarse, fine = smooth_field(rng, shape, 17.0, 3.0), smooth_field(rng, shape, 9.0, 1.1)
    slow = smooth_field(rng, shape, 55.0, 30.0)
    fibres = _waved(rng, 0.62 * coarse + 0.6 * fine)
    loose = soft_step(slow - 0.55, 1.4)
    tissue.eosin[:] = np.clip(0.27 + 0.05 * slow + (0.065 + 0.05 * loose) * fibres - 0.10 * loose, 0.06, 0.7)
    tissue.haematoxylin[:] = np.clip(0.035 + 0.02 * fibres + 0.05 * loose, 0.0, 0.2)
    clefts = soft_step(-fibres - 1.75 + 0.75 * loose, 0.5)
    tissue.cover[:] = 1.0 - 0.85 * clefts
    fibroblasts = scatter_nuclei(rng, np.full(shape, 0.04, np.float32), radius=0.95, spread=0.25, stretch=2.6)
    clouds = soft_step(smooth_field(rng, shape, 17.0, 14.0) - 1.85, 0.9)
    lymphocytes = scatter_nuclei(rng, 0.012 + 0.6 * clouds, radius=1.25, spread=0.1)
    tissue.haematoxylin[:] = np.maximum(tissue.haematoxylin, 0.62 * np.maximum(fibroblasts, 1.1 * lymphocytes))


def paint_fat(tissue: Tissue, rng: np.random.Generator, within: Field) -> None:
    """Fat: round vacuoles, as clear as glass, between thin walls; `within` (0..1) says where, roughly."""
    pitch = rng.uniform(9.0, 16.0)
    labels, distance = _cells(rng, tissue.shape, pitch=pitch)
    wall = np.zeros(tissue.shape, np.float32)
    wall[:, 1:] = labels[:, 1:] != labels[:, :-1]
    wall[1:] = np.maximum(wall[1:], labels[1:] != labels[:-1])
    wall = np.clip(1.25 * cv2.GaussianBlur(wall, (0, 0), 0.7), 0.0, 1.0)
    # A cell is fat or it is not: the border of fat runs along the cells.
    where = within * (1.0 + 0.45 * smooth_field(rng, tissue.shape, 1.2 * pitch, 1.2 * pitch))
    num = int(labels.max()) + 1
    of_cell = np.bincount(labels.ravel(), where.ravel(), num) / np.maximum(
        np.bincount(labels.ravel(), minlength=num), 1
    )
    fat = (of_cell > 0.45).astype(np.float32)[labels]
    vacuole = fat * soft_step(0.78 * pitch - distance, 2.5) * (1.0 - wall)
    tissue.cover[:] = np.maximum(tissue.cover, 0.9 * fat) * (1.0 - 0.97 * vacuole)
    tissue.eosin[:] = np.where(fat > 0, np.minimum(tissue.eosin, 0.24), tissue.eosin)


def paint_duct(tissue: Tissue, rng: np.random.Generator, within: Field) -> None:
    """Normal ducts and lobules: open rings of small, even nuclei."""
    field = smooth_field(rng, tissue.shape, 9.0, 8.0)
    depth = np.asarray(field - 1.0 + 2.0 * (within - 1.0), dtype=np.float32)
    inside = np.minimum(4.0 * within, 1.0)
    lumen = inside * soft_step(depth - 0.6, 0.15)
    wall = np.asarray(inside * soft_step(depth, 0.12) * (1.0 - soft_step(depth - 0.55, 0.12)), dtype=np.float32)
    nuclei = wall * scatter_nuclei(rng, 0.85 * wall, radius=1.2, spread=0.1)
    tissue.eosin[:] = tissue.eosin * (1.0 - 0.4 * wall) + 0.10 * wall
    tissue.haematoxylin[:] = np.maximum(tissue.haematoxylin, 0.17 * wall + 0.8 * nuclei)
    clear_lumen(tissue, lumen)


def paint_tumour(tissue: Tissue, rng: np.random.Generator, within: Field, look: TumourAppearance) -> None:
    """Nests and cords of tumour on whatever stroma is there.

    Args:
        tissue: the layers, changed in place.
        rng: where the randomness comes from.
        within: 0..1, where the zone is; nests thin out where it falls and end where it is 0.
        look: how the nests look.
    """
    shape = tissue.shape
    field = smooth_field(rng, shape, 1.25 * look.nest_px, look.nest_px)
    field += 0.35 * smooth_field(rng, shape, 3.0, 2.5)
    inside = within > 0.5
    level = np.quantile(field[inside], 1.0 - look.tumour_share) if inside.any() else 0.0
    depth = field - np.float32(level) - 3.0 * (1.0 - within)
    nest = soft_step(depth, 0.35) * np.minimum(4.0 * within, 1.0)
    lumen = _lumen(depth, inside & (depth > 0), look)
    nuclei = scatter_nuclei(
        rng, look.nuclear_share * nest * (1.0 - lumen), radius=look.nuclear_radius, spread=look.nuclear_spread
    )
    # Cytoplasm: paler in eosin than collagen, a little blue.
    tissue.eosin[:] = tissue.eosin * (1.0 - nest) + (0.20 + 0.03 * field) * nest
    body = 0.11 + 0.10 * look.haematoxylin
    tissue.haematoxylin[:] = tissue.haematoxylin * (1.0 - nest) + np.maximum(body, look.haematoxylin * nuclei) * nest
    tissue.cover[:] = np.maximum(tissue.cover, nest)
    clear_lumen(tissue, lumen * nest)


def clear_lumen(tissue: Tissue, lumen: Field) -> None:
    """Empty the tissue where `lumen` (0..1) is."""
    tissue.cover[:] *= 1.0 - 0.95 * lumen


def scatter_nuclei(
    rng: np.random.Generator, chance: Field, *, radius: float, spread: float, stretch: float = 1.15
) -> Field:
    """Nuclei on a jittered grid.

    Args:
        rng: where the randomness comes from.
        chance: 0..1 (height, width), the chance that a place on the grid holds a nucleus; neighbours nearly touch
            at 1.
        radius: mean radius, pixels.
        spread: relative spread of the radius.
        stretch: length over width.

    Returns:
        float32 (height, width), about 1 within a nucleus and 0 outside.
    """
    height, width = chance.shape
    pitch = 2.05 * radius + 0.35
    # Every other row is shifted by half a place: a hexagonal grid shows no lines once jittered.
    x = np.arange(0.0, width, pitch) + 0.5 * pitch * (np.arange(0.0, height, pitch)[:, None] // pitch % 2)
    y = np.broadcast_to(np.arange(0.0, height, pitch)[:, None], x.shape)
    column, row = np.minimum(x, width - 1).astype(np.int32), y.astype(np.int32)
    cells = np.flatnonzero(rng.random(x.shape, dtype=np.float32) < chance[row, column])
    draws = rng.random((4, len(cells)), dtype=np.float32)
    column = np.clip(x.ravel()[cells] + 0.84 * pitch * (draws[0] - 0.5), 0, width - 1).astype(np.int32)
    row = np.clip(y.ravel()[cells] + 0.84 * pitch * (draws[1] - 0.5), 0, height - 1).astype(np.int32)
    kind, amount = (draws[2] * _NUM_KINDS).astype(np.int32), 0.75 + 0.45 * draws[3]
    painted = np.zeros((height, width), np.float32)
    for index in range(_NUM_KINDS):
        chosen = kind == index
        points = np.zeros((height, width), np.float32)
        points[row[chosen], column[chosen]] = amount[chosen]
        size = radius * (1.0 + 1.25 * spread * (index % 3 - 1))
        kernel = _nucleus(size, stretch, angle=np.pi * index / 6 if stretch < 2 else 0.25 * (index / 5 - 0.5))
        painted += cv2.filter2D(points, cv2.CV_32F, kernel, borderType=cv2.BORDER_CONSTANT)
    return np.minimum(painted, 1.25)


def _nucleus(radius: float, stretch: float, *, angle: float) -> Field:
    """A soft ellipse, its top at 1."""
    long, short = radius * stretch**0.5, radius / stretch**0.5
    reach = int(long + 1.5)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    distance = np.sqrt((u / long) ** 2 + (v / short) ** 2)
    return np.asarray(np.clip((1.0 - distance) * radius + 0.5, 0.0, 1.0), dtype=np.float32)


def _lumen(depth: Field, nest: npt.NDArray[np.bool_], look: TumourAppearance) -> Field:
    """The deepest part of the nests, as much of it as the look asks for."""
    if look.lumen_share <= 0.01 or not nest.any():
        return np.zeros_like(depth)
    level = max(0.25, float(np.quantile(depth[nest], 1.0 - look.lumen_share)))
    return soft_step(np.asarray(depth - level, dtype=np.float32), 0.2)


def _waved(rng: np.random.Generator, fibres: Field) -> Field:
    """Shift fibres sideways by a slow wave, as collagen crimps."""
    height, width = fibres.shape
    shift = 11.0 * smooth_field(rng, fibres.shape, 26.0, 24.0)
    x = np.broadcast_to(np.arange(width, dtype=np.float32), (height, width))
    y = np.arange(height, dtype=np.float32)[:, None] + shift
    border = cv2.BORDER_REFLECT_101
    waved: Field = cv2.remap(fibres, np.ascontiguousarray(x), y, cv2.INTER_LINEAR, borderMode=border)
    return waved


def _cells(rng: np.random.Generator, shape: tuple[int, int], *, pitch: float) -> tuple[npt.NDArray[np.int32], Field]:
    """Voronoi cells of a jittered grid of points, and the distance of each pixel to its cell's point."""
    height, width = shape
    rows, columns = int(height / pitch) + 2, int(width / pitch) + 2
    jitter = rng.uniform(-0.38, 0.38, (2, rows, columns))
    x = (np.arange(columns) + 0.5 * (np.arange(rows)[:, None] % 2) + jitter[0]) * pitch
    y = (np.arange(rows)[:, None] + jitter[1]) * pitch
    seeds = np.full(shape, 255, np.uint8)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    seeds[y[inside].astype(int), x[inside].astype(int)] = 0
    if not inside.any():
        seeds[0, 0] = 0
    distance, labels = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    return labels, distance
