"""The same tissue in another stain than haematoxylin and eosin."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import cv2
import numpy as np

from tilewise.synthetic.faults.glass import Mask, Rgb

# Optical densities of haematoxylin and eosin, what amounts are taken from the slide with.
_FROM = np.array([[0.65, 0.70, 0.29], [0.10, 0.90, 0.42], [0.63, -0.28, 0.72]])
# What stands for nuclei and for the rest in the other stain: direction in red, green, blue, and strength.
_Dye = tuple[tuple[float, float, float], float]
_STAINS: Mapping[str, tuple[_Dye, _Dye]] = MappingProxyType(
    {
        # Immunostains: brown or red where the antibody binds, pale blue elsewhere.
        "brown-nuclei": (((0.27, 0.57, 0.78), 1.1), ((0.66, 0.62, 0.42), 0.35)),
        "brown-cytoplasm": (((0.74, 0.58, 0.33), 0.7), ((0.30, 0.58, 0.76), 0.9)),
        # Masson's trichrome with blue, and with green, collagen; silver; Alcian blue.
        "trichrome": (((0.45, 0.75, 0.48), 0.9), ((0.86, 0.47, 0.20), 0.9)),
        "green": (((0.50, 0.68, 0.53), 0.9), ((0.84, 0.24, 0.48), 0.9)),
        "silver": (((0.56, 0.58, 0.59), 1.3), ((0.45, 0.58, 0.68), 0.6)),
        "alcian-blue": (((0.55, 0.75, 0.36), 0.4), ((0.88, 0.43, 0.19), 0.8)),
    }
)
STAIN_FAMILIES: tuple[str, ...] = tuple(_STAINS)


def restain(rng: np.random.Generator, rgb: Rgb, *, tissue: Mask, family: str) -> Rgb:
    """Stain the tissue's nuclei and its other parts with other dyes.

    Args:
        rng: of small differences in hue and strength.
        rgb: uint8 (H, W, 3), a slide in haematoxylin and eosin.
        tissue: bool (H, W); glass keeps its colour.
        family: one of `STAIN_FAMILIES`.
    """
    outside = rgb[~tissue]
    white = np.asarray(outside.reshape(-1, 3)[::97].mean(axis=0) if len(outside) else [240.0] * 3, np.float64)
    dyes = []
    for vector, strength in _STAINS[family]:
        shifted = np.array(vector) + rng.normal(0.0, 0.02, 3)
        dyes.append(strength * rng.uniform(0.85, 1.2) * shifted / np.linalg.norm(shifted))
    scale = np.linalg.norm(_FROM, axis=1, keepdims=True)
    density = np.stack(
        [np.log10((white[c] + 1.0) / (np.arange(256) + 1.0)).astype(np.float32)[rgb[:, :, c]] for c in range(3)], axis=2
    )
    amounts = np.maximum(cv2.transform(density, np.linalg.inv(_FROM / scale).T.astype(np.float32)), 0.0)
    stained = cv2.transform(np.ascontiguousarray(amounts[:, :, :2]), np.stack(dyes).T.astype(np.float32))
    light = (white + 1.0).astype(np.float32) * np.power(np.float32(10.0), -stained) - 1.0
    near = cv2.dilate(tissue.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    return np.where(near[:, :, None], np.clip(np.rint(light), 0, 255), rgb).astype(np.uint8)
