"""Slides with blobs and pens whose extent is known to the pixel."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

HUES = {"green": 125.0, "blue": 222.0, "red": 1.0, "yellow": 52.0}


@dataclass(frozen=True)
class Drawn:
    rgb: npt.NDArray[np.uint8]
    tissue: npt.NDArray[np.bool_]
    mask: npt.NDArray[np.bool_]


def drawn_slide(seed: int, *, height: int = 480, width: int = 720) -> Drawn:
    """A core of pink, grained tissue with dark nuclei on uneven, noisy glass."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    glass = 234.0 + 2.0 * np.sin(x / width * 5) + 2.0 * np.cos(y / height * 4)
    rgb = np.repeat(glass[:, :, None], 3, axis=2) + np.array([0.0, -1.0, 1.0], np.float32)
    middle = 0.5 * height + 0.06 * height * np.sin(x / width * 6 + seed)
    tissue = (np.abs(y - middle) < 0.16 * height) & (np.abs(x - width / 2) < 0.45 * width)
    grain = cv2.GaussianBlur(rng.normal(0, 1, (height, width)).astype(np.float32), (0, 0), 1.2)
    pink = np.array([205, 130, 180], np.float32) + 45 * grain[:, :, None] * np.array([1, 1.4, 1.0], np.float32)
    nuclei = cv2.GaussianBlur(rng.normal(0, 1, (height, width)).astype(np.float32), (0, 0), 2.2) > 0.17
    pink[nuclei] = (85, 50, 130)
    rgb[tissue] = pink[tissue]
    rgb += rng.normal(0, 1.0, rgb.shape)
    mask = np.zeros((height, width), bool)
    mask[:, int(0.3 * width) : int(0.6 * width)] = True
    return Drawn(np.clip(np.rint(rgb), 0, 255).astype(np.uint8), tissue, mask & tissue)


def paint(colour: str) -> npt.NDArray[np.float32]:
    rgb = (0.08, 0.08, 0.09) if colour == "black" else colorsys.hsv_to_rgb(HUES[colour] / 360, 0.88, 0.8)
    return np.asarray(rgb, np.float32) * 255


def with_blob(
    slide: Drawn,
    colour: str,
    *,
    at: tuple[float, float] = (0.45, 0.55),
    radius: float = 0.13,
    opacity: float = 0.9,
    halo: float = 0.3,
    glossy: bool = True,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Paste a round blob with an antialiased edge, a faint halo and a highlight; and the share of it per pixel."""
    height, width = slide.tissue.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    distance = np.hypot(x - at[0] * width, y - at[1] * height) - radius * height
    core = np.clip(0.5 - distance / 2.0, 0, 1) * opacity
    faint = halo * np.exp(-np.maximum(distance, 0) / 4.0) * (distance < 14)
    alpha = np.maximum(core, faint).astype(np.float32)
    ink = np.repeat(paint(colour)[None, None], height, 0).repeat(width, 1)
    ink *= (1.0 + 0.25 * np.clip(-distance / (radius * height), 0, 1))[:, :, None]
    if glossy:
        shine = np.exp(-(((x - (at[0] - 0.03) * width) / 9) ** 2 + ((y - (at[1] - 0.05) * height) / 6) ** 2))[
            :, :, None
        ]
        ink = ink + 0.9 * shine * (250 - ink)
    mixed = slide.rgb * (1 - alpha[:, :, None]) + np.clip(ink, 0, 255) * alpha[:, :, None]
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8), alpha


def with_pen(slide: Drawn, colour: str, *, width_px: int = 4) -> npt.NDArray[np.uint8]:
    """Draw a wavy line on the glass below the tissue."""
    height, width = slide.tissue.shape
    x = np.linspace(0.2 * width, 0.8 * width, 60)
    y = 0.88 * height + 8 * np.sin(x / 40)
    alpha = np.zeros((height, width), np.uint8)
    points = np.stack([x, y], 1).astype(np.int32)
    cv2.polylines(alpha, [points], False, 255, width_px, cv2.LINE_AA)
    share = alpha[:, :, None].astype(np.float32) / 255 * 0.9
    return np.clip(np.rint(slide.rgb * (1 - share) + paint(colour) * share), 0, 255).astype(np.uint8)
