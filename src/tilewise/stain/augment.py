"""Vary the amounts of the two dyes at random, as laboratories do."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.stain.density import DEFAULT_GLASS, Rgb, clamp, log_light, to_levels
from tilewise.stain.dye_vectors import LEAST_DENSITY, PUBLISHED
from tilewise.stain.profile import StainProfile
from tilewise.stain.strips import Scratch, map_strips

Floats64 = npt.NDArray[np.float64]


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


def density_change(dyes: Floats64, scale: Floats64, shift: Floats64) -> tuple[Floats64, Floats64]:
    """What scales and shifts of the dyes' amounts do to a row of optical densities: density @ matrix + fade * shift.

    Args:
        dyes: (2, 3), a dye in each row.
        scale: (..., 2), one for each dye.
        shift: (..., 2), one for each dye.

    Returns:
        Matrices (..., 3, 3), and shifts (..., 3) of stained tissue, to be faded in up to `LEAST_DENSITY`.
    """
    return np.eye(3) + np.linalg.pinv(dyes) @ ((scale - 1.0)[..., None] * dyes), shift @ dyes


class _Jitter:
    def __init__(
        self,
        dyes: Floats64,
        glass: tuple[float, float, float],
        scale: Floats64,
        shift: Floats64,
    ) -> None:
        change, towards = density_change(dyes, scale, shift)
        light = np.log(np.asarray(glass) + 1.0)
        self._matrix = np.c_[change.T, light - light @ change].astype(np.float32)
        # Faded in by the mean density, each output channel in its share of the shift.
        slope = -1.0 / (3.0 * LEAST_DENSITY)
        self._fade = np.array([[slope, slope, slope, -slope * light.sum()]], np.float32)
        self._shift = (-towards).astype(np.float32)[:, None]

    def apply(self, strip: Rgb, out: Rgb, scratch: Scratch) -> None:
        before = log_light(strip, scratch.plane("before", strip))
        fade = cv2.transform(before, self._fade, dst=scratch.single("fade", strip))
        clamp(fade, 1.0)
        light = cv2.transform(fade, self._shift, dst=scratch.plane("light", strip))
        cv2.transform(before, self._matrix, dst=before)
        cv2.add(light, before, dst=light)
        to_levels(light, out)
