"""CIE L*a*b* (sRGB, D65) in optimised passes, and Reinhard's transfer in it.

OpenCV converts to Lab and back at a third of the speed of what follows, which rests on two facts: Lab is linear in the
cube roots f of XYZ over white, so that any affine map of Lab is a matrix on f; and only very dark pixels meet the
straight pieces of the two curves, so that these are computed where a strip holds such pixels.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.stain.density import Floats, Rgb, Triple, clamp
from tilewise.stain.strips import Scratch

_Matrix = npt.NDArray[np.float64]

_WHITE: Final = np.array([0.95047, 1.0, 1.08883])
_XYZ: Final = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
_TO_F: Final = (_XYZ / _WHITE[:, None]).astype(np.float32)
_FROM_F: Final = np.linalg.inv(_XYZ / _WHITE[:, None]).astype(np.float32)
_LAB: Final = np.array([[0.0, 116.0, 0.0], [500.0, -500.0, 0.0], [0.0, 200.0, -200.0]])
_LAB_OFFSET: Final = np.array([-16.0, 0.0, 0.0])
# Where the cube root and the gamma of sRGB go over into straight lines.
_ROOT_KNEE, _ROOT_SLOPE, _ROOT_OFFSET = 0.008856, 7.787, 16.0 / 116.0
_ROOT_AT_KNEE: Final = _ROOT_SLOPE * _ROOT_KNEE + _ROOT_OFFSET
_GAMMA_KNEE: Final = 0.0031308
# Light ends at 1; far beyond it the conversion to 8 bits would wrap around.
_BRIGHTEST: Final = 4.0
# Lightness over which glass goes over into tissue: what is darker than glass by more is moved in full.
_EDGE: Final = 10.0


def _linear_table() -> Floats:
    levels = np.arange(256) / 255.0
    linear = np.where(levels > 0.04045, ((levels + 0.055) / 1.055) ** 2.4, levels / 12.92)
    return linear.astype(np.float32)[None]


_LINEAR: Final = _linear_table()
_SAME: Final = np.ones(3, np.float32)
_NOWHERE: Final = np.empty(0, np.intp)


def to_lab(rgb: Rgb) -> Floats:
    """L*a*b* of uint8 pixels (..., 3); float32, L from 0 to 100."""
    if not rgb.size:  # OpenCV returns nothing for nothing
        return np.empty(rgb.shape, np.float32)
    pixels = np.ascontiguousarray(rgb).reshape(1, -1, 3)
    roots = _roots(pixels, np.empty(pixels.shape, np.float32), _TO_F, _SAME)
    lab: Floats = cv2.transform(roots, np.c_[_LAB, _LAB_OFFSET])
    return lab.reshape(rgb.shape)


class LabTransfer:
    """Move the mean and spread of Lab to the target's, and glass to the target's glass.

    Reinhard et al., Color transfer between images, IEEE CG&A 21(5), 2001; in CIE Lab, as is the custom in pathology.
    The means and spreads are those of tissue, so the transfer is faded out over the last 10 units of lightness below
    the glass, where only the light of the glass is scaled to the target's: glass would turn coloured otherwise.
    """

    def __init__(self, source: tuple[Triple, Triple, Triple], target: tuple[Triple, Triple, Triple]) -> None:
        """Each of `source` and `target` is Lab mean, Lab spread, and grey levels of glass (red, green, blue)."""
        scale = np.array(target[1]) / np.array(source[1])
        shift = np.array(target[0]) - scale * np.array(source[0])
        inverse = np.linalg.inv(_LAB)
        matrix = inverse @ np.diag(scale) @ _LAB
        offset = inverse @ (scale * _LAB_OFFSET + shift - _LAB_OFFSET)
        # Roots are computed with the target's glass in them, g = f glass' / glass, which costs nothing.
        glass_target = _glass_roots(target[2])
        self._glass = (glass_target / _glass_roots(source[2])).astype(np.float32)
        self._to_roots = _TO_F * self._glass[:, None] ** 3
        # f' = g + weight (matrix f + offset - g)
        self._change = np.c_[matrix / self._glass - np.eye(3), offset].astype(np.float32)
        slope = -116.0 / _EDGE / self._glass[1]
        self._weight = np.array([[0.0, slope, 0.0, -slope * glass_target[1]]], np.float32)

    def apply(self, strip: Rgb, out: Rgb, scratch: Scratch) -> None:
        """Write the transferred pixels of a contiguous uint8 (1, n, 3) strip into `out`."""
        roots = _roots(strip, scratch.plane("roots", strip), self._to_roots, self._glass)
        weight = cv2.transform(roots, self._weight, dst=scratch.single("weight", strip))
        clamp(weight, 1.0)
        weights = cv2.merge((weight, weight, weight), dst=scratch.plane("weights", strip))
        change = cv2.transform(roots, self._change, dst=scratch.plane("change", strip))
        cv2.accumulateProduct(change, weights, roots)
        _encode(roots, out, scratch.plane("change", strip))


def _glass_roots(glass: Triple) -> _Matrix:
    levels = np.interp(np.asarray(glass), np.arange(256), _LINEAR[0])
    roots: _Matrix = np.cbrt(_TO_F.astype(np.float64) @ levels)
    return roots


def _roots(strip: Rgb, roots: Floats, matrix: Floats, glass: Floats) -> Floats:
    """Cube roots of XYZ over white, times `glass` (3,), which `matrix` has in it; written into `roots`."""
    cv2.LUT(strip.reshape(1, -1), _LINEAR, dst=roots.reshape(1, -1))
    cv2.transform(roots, matrix, dst=roots)
    flat = roots.reshape(-1)
    dark = _below(flat, _ROOT_KNEE * float(glass.max()) ** 3)
    own = glass[dark % 3]
    straight = _ROOT_SLOPE / own**2 * flat[dark] + _ROOT_OFFSET * own
    cv2.log(roots, dst=roots)
    roots *= np.float32(1.0 / 3.0)  # OpenCV is slower with a scalar
    cv2.exp(roots, dst=roots)
    flat[dark] = np.where(straight < _ROOT_AT_KNEE * own, straight, flat[dark])
    return roots


def _encode(roots: Floats, out: Rgb, linear: Floats) -> None:
    """Grey levels of cube roots of XYZ over white; `linear` is overwritten."""
    cv2.pow(roots, 3, dst=linear)
    flat = linear.reshape(-1)
    dark = _below(roots.reshape(-1), _ROOT_AT_KNEE)
    flat[dark] = (roots.reshape(-1)[dark] - _ROOT_OFFSET) / _ROOT_SLOPE
    cv2.transform(linear, _FROM_F, dst=linear)
    cv2.threshold(linear.reshape(1, -1), _BRIGHTEST, 0.0, cv2.THRESH_TRUNC, dst=linear.reshape(1, -1))
    dark = _below(flat, _GAMMA_KNEE)
    straight = (12.92 * np.maximum(flat[dark], 0.0) + 0.055) / 1.055
    flat[dark] = _GAMMA_KNEE  # the logarithm of 0 is none
    cv2.log(linear, dst=linear)
    linear *= np.float32(1.0 / 2.4)
    cv2.exp(linear, dst=linear)
    flat[dark] = straight
    # Nothing is negative here, so that the absolute value does no harm.
    cv2.convertScaleAbs(linear, dst=out, alpha=255.0 * 1.055, beta=-255.0 * 0.055)


def _below(flat: Floats, knee: float) -> npt.NDArray[np.intp]:
    """Places of values below `knee`; most strips have none."""
    return np.flatnonzero(flat < knee) if flat.min() < knee else _NOWHERE
