"""Part a picture into what haematoxylin and what eosin make of it."""

from __future__ import annotations

import cv2
import numpy as np

from tilewise.errors import UsageError
from tilewise.stain.density import Floats, Rgb, densities
from tilewise.stain.profile import StainProfile


def concentrations(rgb: Rgb, profile: StainProfile) -> Floats:
    """Amounts of haematoxylin and eosin by least squares (Ruifrok & Johnston 2001); float32 (..., 2), at least 0.

    Args:
        rgb: uint8 (..., 3).
        profile: the slide's own; its glass has amount 0.

    Raises:
        UsageError: the profile holds no dyes, for want of tissue.
    """
    if not profile.matrix.any():
        raise UsageError(
            "the stain profile holds no dyes, for the slide has too little tissue; ask `untrusted_reason` first"
        )
    amounts = densities(rgb, profile.glass) @ np.linalg.pinv(profile.matrix).astype(np.float32)
    nonnegative: Floats = np.maximum(amounts, 0.0)
    return nonnegative


def separate(rgb: Rgb, profile: StainProfile) -> tuple[Rgb, Rgb]:
    """The picture as it would be with haematoxylin alone, and with eosin alone; uint8, in the shape of `rgb`.

    Raises:
        UsageError: the profile holds no dyes, for want of tissue.
    """
    amounts = concentrations(rgb, profile)
    light = np.asarray(profile.glass, np.float32) + 1.0
    haematoxylin, eosin = (
        _levels(light * np.exp(-amounts[..., k, None] * profile.matrix[k].astype(np.float32))) for k in range(2)
    )
    return haematoxylin, eosin


def _levels(light: Floats) -> Rgb:
    rgb: Rgb = cv2.subtract(light.reshape(1, -1, 3), (1.0,) * 4, dtype=cv2.CV_8U)
    return rgb.reshape(light.shape)
