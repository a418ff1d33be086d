"""Where is tissue: optical density against the slide's own glass, and Otsu."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.valid import WORKING_SIDE, valid_field

# Otsu always finds a threshold, on blank glass too. Below 0.04 of optical density lies the noise of a camera,
# above 0.12 pale eosin would be lost, and in a field without glass Otsu would part dark tissue from pale.
_LOWEST_DENSITY, _HIGHEST_DENSITY = 0.04, 0.12
_SMALLEST_SHARE = 2e-4


def tissue_mask(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Mark tissue on a slide or a thumbnail of it; padding, frames and scanner fill are none (`valid_field`).

    The green channel carries most of both haematoxylin and eosin. Its optical density is taken against the glass,
    estimated from the brightest pixels, smoothed, and split by Otsu's threshold (Otsu, IEEE Trans. SMC
    9(1), 1979) within bounds that keep blank glass blank. Specks go, small holes close.

    Args:
        rgb: uint8 (H, W, 3).

    Returns:
        bool (H, W), in the frame of `rgb`; found at a working size of at most 768 pixels a side.
    """
    field = valid_field(rgb)
    return field.paste(tissue_within(field.picture(rgb)), rgb.shape[:2])


def tissue_within(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """As `tissue_mask`, of a picture that is known to have no padding (`ValidField.picture`)."""
    height, width = rgb.shape[:2]
    scale = min(1.0, WORKING_SIDE / max(height, width))
    small_size = (max(1, round(width * scale)), max(1, round(height * scale)))
    green = np.ascontiguousarray(rgb[:, :, 1])
    if scale != 1.0:
        green = np.asarray(cv2.resize(green, small_size, interpolation=cv2.INTER_AREA))
    density = _density(green)
    density = cv2.GaussianBlur(density, (0, 0), max(0.8, 2.0 * scale * max(height, width) / 1024))
    tissue = (density > _threshold(density)).astype(np.uint8)
    tissue = _without_specks(tissue)
    if scale != 1.0:
        tissue = cv2.resize(tissue, (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(tissue, dtype=bool)


def green_density(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Optical density of the green channel against the slide's own glass; float32 (H, W), about 0 on glass."""
    return _density(np.ascontiguousarray(rgb[:, :, 1]))


def glass_level(channel: npt.NDArray[np.uint8]) -> float:
    """The grey level of empty glass: the 99th percentile, and at least 215 for fields without any glass."""
    counts = np.cumsum(np.bincount(channel.ravel(), minlength=256))
    return max(215.0, float(np.searchsorted(counts, 0.99 * channel.size)))


def _density(green: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    glass = glass_level(green)
    table = np.log10((glass + 1.0) / (np.arange(256) + 1.0)).astype(np.float32)
    density: npt.NDArray[np.float32] = cv2.LUT(green, table)
    return density


def _threshold(density: npt.NDArray[np.float32]) -> float:
    levels = np.clip(density * 200.0, 0, 255).astype(np.uint8)
    otsu, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return float(np.clip(otsu / 200.0, _LOWEST_DENSITY, _HIGHEST_DENSITY))


def _without_specks(tissue: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    smallest = max(4, int(_SMALLEST_SHARE * tissue.size))
    for value in (1, 0):
        num, labels, stats, _ = cv2.connectedComponentsWithStats((tissue == value).astype(np.uint8), connectivity=8)
        small = np.flatnonzero(stats[:, cv2.CC_STAT_AREA] < smallest)
        small = small[small > 0]
        if num > 1 and small.size:
            lookup = np.zeros(num, dtype=bool)
            lookup[small] = True
            tissue = np.where(lookup[labels], 1 - value, tissue).astype(np.uint8)
    return tissue
