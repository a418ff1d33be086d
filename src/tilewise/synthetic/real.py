"""Cores whose inside is real tissue: swatches of photographed histology quilted into drawn outlines, on drawn glass.

The pictures are read where they are; nothing of them is kept but what is drawn. Their tissue says nothing about the
labels of the cohort.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.errors import UsageError
from tilewise.slides import read_image
from tilewise.synthetic.fields import Field, smooth_field
from tilewise.synthetic.optics import draw_appearance, draw_glass, scan
from tilewise.synthetic.plan import PlannedSlide
from tilewise.synthetic.slide import DrawnSlide
from tilewise.units import Size

Mask = npt.NDArray[np.bool_]
Picture = npt.NDArray[np.float32]

# Where pictures lie in the kit, and the shorter side they are shrunk to, in pixels: by their magnification, so that
# nuclei come out about as wide as on a slide at low power.
_PLACES = {
    "brecahad/images/*.jpg": 400,
    "breakhis/*/*.png": 260,
    "camelyon_tiles/images/*.jpg": 400,
    "osteosarcoma/original_1024/*.jpg": 512,
}
_TEXTURE_STREAM = 11
_FEWEST_TEXTURES = 4
_TISSUE_DENSITY, _ENOUGH_TISSUE, _TRIES = 0.06, 0.75, 8


@lru_cache(maxsize=4)
def find_textures(folder: Path) -> tuple[Path, ...]:
    """Pictures wholly of H&E tissue below a folder laid out as the kit of real slides, in a fixed order.

    Raises:
        UsageError: there are too few of them.
    """
    paths = tuple(path for place in _PLACES for path in sorted(folder.glob(place)))
    if len(paths) < _FEWEST_TEXTURES:
        raise UsageError(
            f"{folder} holds {len(paths)} textures, at least {_FEWEST_TEXTURES} are needed; "
            f"they are looked for at {', '.join(_PLACES)}"
        )
    return paths


def fill_with_textures(planned: PlannedSlide, drawn: DrawnSlide, *, textures: tuple[Path, ...]) -> DrawnSlide:
    """A slide with the outline and mask of a drawn one, of real tissue on glass of its own."""
    return compose(planned.stream(_TEXTURE_STREAM), drawn.tissue, mask=drawn.mask, textures=textures)


def compose(rng: np.random.Generator, tissue: Mask, *, mask: Mask, textures: tuple[Path, ...]) -> DrawnSlide:
    """Lay real tissue into an outline.

    Args:
        rng: of the choice of textures, of how they are cut and turned, of the glass and the scan.
        tissue: bool (H, W), the outline.
        mask: bool (H, W), taken over.
        textures: from `find_textures`.
    """
    height, width = tissue.shape
    look = draw_appearance(rng)
    picture = draw_glass(rng, Size(width, height), look)
    light = quilt(rng, tissue, textures=textures)
    alpha = cv2.GaussianBlur(cv2.dilate(tissue.astype(np.float32), np.ones((3, 3))), (0, 0), 0.8)[:, :, None]
    picture *= 1.0 - alpha * (1.0 - light)
    return DrawnSlide(scan(rng, picture, look), mask, tissue)


def quilt(rng: np.random.Generator, tissue: Mask, *, textures: tuple[Path, ...]) -> Picture:
    """Overlapping swatches over every piece of tissue.

    Each slide takes its swatches from a few pictures, brought to the staining of the first.

    Returns:
        float32 (H, W, 3), the share of light that passes, 1 off the tissue.
    """
    chosen = [textures[k] for k in rng.choice(len(textures), size=min(4, len(textures)), replace=False)]
    target = _mean_density(_load(chosen[0]))
    scale = rng.uniform(0.7, 1.0)
    light = np.ones((*tissue.shape, 3), np.float32)
    pitch = int(rng.integers(85, 150))
    overlap = pitch // 4
    height, width = tissue.shape
    for y in range(-int(rng.integers(pitch)), height, pitch):
        for x in range(-int(rng.integers(pitch)), width, pitch):
            rows = slice(max(0, y - overlap), min(height, y + pitch + overlap))
            columns = slice(max(0, x - overlap), min(width, x + pitch + overlap))
            if not tissue[rows, columns].any():
                continue
            shape = (rows.stop - rows.start, columns.stop - columns.start)
            texture = _load(chosen[int(rng.integers(len(chosen)))])
            swatch = _swatch(rng, texture, shape, scale=scale * rng.uniform(0.9, 1.1), target=target)
            weight = _ragged_window(rng, shape, overlap)[:, :, None]
            below = light[rows, columns]
            below += weight * (swatch - below)
    light[~(cv2.dilate(tissue.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0)] = 1.0
    return light


def draw_regions(rng: np.random.Generator, tissue: Mask) -> Mask:
    """Some regions of interest within a piece of tissue, drawn without looking at it."""
    height, width = tissue.shape
    side = min(height, width) / 18
    regions = (smooth_field(rng, (height, width), side, side) > 0.4) & tissue
    return np.asarray(regions if regions.any() else tissue, dtype=bool)


@lru_cache(maxsize=128)
def _load(path: Path) -> npt.NDArray[np.uint8]:
    rgb = read_image(path)
    side = next((side for place, side in _PLACES.items() if path.match(place)), max(_PLACES.values()))
    ratio = side / min(rgb.shape[:2])
    if ratio < 1.0:
        rgb = cv2.resize(rgb, (round(rgb.shape[1] * ratio), round(rgb.shape[0] * ratio)), interpolation=cv2.INTER_AREA)
    white = np.maximum(215.0, np.percentile(rgb.reshape(-1, 3)[::13], 99, axis=0))
    return np.rint(np.clip(rgb / white, 0.0, 1.0) * 255.0).astype(np.uint8)


def _swatch(
    rng: np.random.Generator,
    texture: npt.NDArray[np.uint8],
    shape: tuple[int, int],
    *,
    scale: float,
    target: npt.NDArray[np.float64],
) -> Picture:
    """A piece of a picture, turned and mirrored at will, with enough tissue in it; light that passes."""
    side = max(shape)
    window = min(*texture.shape[:2], int(np.ceil(side / scale)))
    best, most = texture[:window, :window], -1.0
    for _ in range(_TRIES):
        y, x = (int(rng.integers(length - window + 1)) for length in texture.shape[:2])
        piece = texture[y : y + window, x : x + window]
        share = float((piece[::5, ::5, 1] < 255.0 * 10**-_TISSUE_DENSITY).mean())
        if share > most:
            best, most = piece, share
        if most > _ENOUGH_TISSUE:
            break
    piece = np.rot90(best, int(rng.integers(4)))
    piece = piece[:, ::-1] if rng.random() < 0.5 else piece
    piece = cv2.resize(np.ascontiguousarray(piece), (side, side), interpolation=cv2.INTER_AREA)
    power = np.clip(target / np.maximum(_mean_density(piece), 0.02), 0.7, 1.4)
    levels = np.clip(np.arange(256) / 255.0, 1 / 255, 1.0)
    table = np.stack([levels**value for value in power], axis=1).astype(np.float32)
    light = np.stack([table[:, c][piece[: shape[0], : shape[1], c]] for c in range(3)], axis=2)
    return np.asarray(light, dtype=np.float32)


def _mean_density(piece: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Mean optical density of the tissue in red, green, blue; (3,)."""
    pixels = piece[::4, ::4].reshape(-1, 3).astype(np.float64)
    density = -np.log10(np.maximum(pixels, 1.0) / 255.0)
    tissue = density[:, 1] > _TISSUE_DENSITY
    return np.asarray(density[tissue].mean(axis=0) if tissue.any() else density.mean(axis=0) + 0.02)


def _ragged_window(rng: np.random.Generator, shape: tuple[int, int], overlap: int) -> Field:
    """1 inside, falling to 0 at the borders along a wavering line; float32 (height, width)."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    border = np.minimum(np.minimum(x, shape[1] - 1 - x), np.minimum(y, shape[0] - 1 - y))
    waver = 0.25 * overlap * smooth_field(rng, shape, 9.0, 9.0)
    inner = np.clip((border - 0.6 * overlap + waver) / 4.0, 0.0, 1.0)
    # Whatever the wavering, it starts from nothing.
    return np.asarray(inner * np.clip(border / 4.0, 0.0, 1.0), dtype=np.float32)
