"""Vary the amounts of the two dyes at random, as laboratories do."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.stain.density import DEFAULT_GLASS, Rgb, density_table
from tilewise.stain.profile import StainProfile
from tilewise.stain.strips import map_strips
from tilewise.stain.vectors import LEAST_DENSITY, PUBLISHED

_BRIGHTEST: Final = 6.0


def hed_jitter(rgb: Rgb, rng: np.random.Generator, *, strength: float, profile: StainProfile | None = None) -> Rgb:
    """Scale and shift the amounts of haematoxylin and eosin at random, in optical density.

    Tellez et al., Whole-slide mitosis detection in H&E breast histology using PHH3 as a reference to train distilled
    stain-invariant convolutional networks, IEEE TMI 37(9), 2018: amount' = a amount + b, a in 1 +- strength, b in
    +- strength. Here only the two dyes vary, what lies off their plane stays; and the shift is faded in up to a density
    of 0.15, the least of stained tissue, so that glass stays glass.

    Args:
        rgb: uint8 (H, W, 3), or tiles (N, H, W, 3), each with numbers of its own.
        rng: where the four random numbers of each picture come from.
        strength: 0 changes nothing; 0.05 is light, 0.2 strong.
        profile: vary in the slide's own dyes; None takes those of Ruifrok & Johnston 2001.
    """
    if rgb.ndim == 4:
        tiles = [hed_jitter(tile, rng, strength=strength, profile=profile) for tile in rgb]
        return np.stack(tiles) if tiles else rgb
    scale = rng.uniform(1.0 - strength, 1.0 + strength, 2)
    shift = rng.uniform(-strength, strength, 2)
    if strength == 0.0:
        return rgb
    dyes = PUBLISHED if profile is None or not profile.matrix.any() else profile.matrix
    glass = DEFAULT_GLASS if profile is None else profile.glass
    return map_strips(rgb, _Jitter(dyes, glass, scale, shift).apply)


class _Jitter:
    def __init__(
        self,
        dyes: npt.NDArray[np.float64],
        glass: tuple[float, float, float],
        scale: npt.NDArray[np.float64],
        shift: npt.NDArray[np.float64],
    ) -> None:
        change = np.eye(3) + np.linalg.pinv(dyes) @ np.diag(scale - 1.0) @ dyes
        light = np.log(np.asarray(glass) + 1.0)
        self._table = density_table(glass)[None]
        self._matrix = np.c_[-change.T, light].astype(np.float32)
        # Faded in by the mean density, each output channel in its share of the shift.
        self._fade = np.full((3, 3), 1.0 / (3.0 * LEAST_DENSITY), np.float32)
        self._shift = (*(-shift @ dyes).tolist(), 0.0)

    def apply(self, strip: Rgb, out: Rgb) -> None:
        density = cv2.LUT(strip, self._table)
        fade = cv2.transform(density, self._fade)
        cv2.max(fade, (0.0,) * 4, dst=fade)
        cv2.min(fade, (1.0,) * 4, dst=fade)
        cv2.multiply(fade, self._shift, dst=fade)
        light = cv2.transform(density, self._matrix)
        cv2.add(light, fade, dst=light)
        cv2.min(light, (_BRIGHTEST,) * 4, dst=light)
        cv2.exp(light, dst=light)
        cv2.subtract(light, (1.0,) * 4, dst=out, dtype=cv2.CV_8U)
