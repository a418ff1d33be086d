"""CIE L*a*b* (sRGB, D65) in optimised passes, and Reinhard's transfer in it.

OpenCV converts to Lab and back at half the speed of what follows, which rests on two facts: Lab is linear in the cube
roots f of XYZ over white, so that any affine map of Lab is a matrix on f; and only very dark pixels meet the straight
pieces of the two curves, so that these are computed where a strip holds such pixels.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.stain.density import Floats, Rgb, Triple

_Matrix = npt.NDArray[np.float64]

_WHITE: Final = np.array([0.95047, 1.0, 1.08883])
_XYZ: Final = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
_TO_F: Final = (_XYZ / _WHITE[:, None]).astype(np.float32)
_FROM_F: Final = np.linalg.inv(_XYZ / _WHITE[:, None]).astype(np.float32)
_LAB: Final = np.array([[0.0, 116.0, 0.0], [500.0, -500.0, 0.0], [0.0, 200.0, -200.0]])
_LAB_OFFSET: Final = np.array([-16.0, 0.0, 0.0])
# Where the cube root and the gamma of sRGB go over into straight lines.
_ROOT_KNEE, _ROOT_SLOPE, _ROOT_OFFSET = 0.008856, 7.787, 16.0 / 116.0
_GAMMA_KNEE: Final = 0.0031308
# Lightness over which glass goes over into tissue: what is darker than glass by more is moved in full.
_EDGE: Final = 10.0


def _linear_table() -> Floats:
    levels = np.arange(256) / 255.0
    linear = np.where(levels > 0.04045, ((levels + 0.055) / 1.055) ** 2.4, levels / 12.92)
    table: Floats = np.repeat(linear[:, None], 3, axis=1).astype(np.float32)[None]
    return table


_LINEAR: Final = _linear_table()


def to_lab(rgb: Rgb) -> Floats:
    """L*a*b* of uint8 pixels (..., 3); float32, L from 0 to 100."""
    roots = _roots(np.ascontiguousarray(rgb).reshape(1, -1, 3))
    found: Floats = cv2.transform(roots, np.c_[_LAB, _LAB_OFFSET])
    return found.reshape(rgb.shape)


class LabTransfer:
    """Move the mean and spread of Lab to the target's, and glass to the target's glass.

    Reinhard et al., Color transfer between images, IEEE CG&A 21(5), 2001; in CIE Lab, as is the custom in pathology.
    The means and spreads are those of tissue, so the transfer is faded out over the last 10 units of lightness below
    the glass: glass would turn coloured otherwise.
    """

    def __init__(self, source: tuple[Triple, Triple, Triple], target: tuple[Triple, Triple, Triple]) -> None:
        """Each of `source` and `target` is Lab mean, Lab spread, and grey levels of glass (red, green, blue)."""
        scale = np.array(target[1]) / np.array(source[1])
        shift = np.array(target[0]) - scale * np.array(source[0])
        inverse = np.linalg.inv(_LAB)
        matrix = inverse @ np.diag(scale) @ _LAB
        offset = inverse @ (scale * _LAB_OFFSET + shift - _LAB_OFFSET)
        self._glass_source, glass_target = _glass_roots(source[2]), _glass_roots(target[2])
        self._glass_shift = glass_target - self._glass_source
        # f' = f + shift of glass + weight (matrix f + offset - f - shift of glass)
        self._change = np.c_[matrix - np.eye(3), offset - self._glass_shift].astype(np.float32)
        slope = -116.0 / _EDGE
        row = np.array([0.0, slope, 0.0, -slope * self._glass_source[1]])
        self._weight = np.repeat(row[None], 3, axis=0).astype(np.float32)

    def apply(self, strip: Rgb, out: Rgb) -> None:
        """Write the transferred pixels of a contiguous uint8 (h, w, 3) strip into `out`."""
        roots = _roots(strip)
        weight = cv2.transform(roots, self._weight)
        np.clip(weight, np.float32(0), np.float32(1), out=weight)
        change = cv2.transform(roots, self._change)
        cv2.multiply(change, weight, dst=change)
        cv2.add(roots, change, dst=roots)
        if self._glass_shift.any():
            roots += self._glass_shift.astype(np.float32)
        _encode(roots, out)


def _glass_roots(glass: Triple) -> _Matrix:
    levels = np.interp(np.asarray(glass), np.arange(256), _LINEAR[0, :, 0])
    found: _Matrix = np.cbrt(_TO_F.astype(np.float64) @ levels)
    return found


def _roots(strip: Rgb) -> Floats:
    """F of each pixel: cube roots of XYZ over white; float32, the strip's shape."""
    plane = strip.reshape(strip.shape[0], -1)  # one table for all channels
    ratios = cv2.transform(cv2.LUT(plane, _LINEAR[:, :, 0]).reshape(strip.shape), _TO_F)
    roots: Floats = cv2.log(ratios)
    roots *= np.float32(1.0 / 3.0)  # OpenCV is slower with a scalar
    cv2.exp(roots, dst=roots)
    dark = _below(ratios, _ROOT_KNEE)
    roots.reshape(-1)[dark] = _ROOT_SLOPE * ratios.reshape(-1)[dark] + _ROOT_OFFSET
    return roots


def _encode(roots: Floats, out: Rgb) -> None:
    ratios = cv2.multiply(cv2.multiply(roots, roots), roots)
    knee = _ROOT_SLOPE * _ROOT_KNEE + _ROOT_OFFSET
    dark = _below(roots, knee)
    ratios.reshape(-1)[dark] = (roots.reshape(-1)[dark] - _ROOT_OFFSET) / _ROOT_SLOPE
    linear = cv2.transform(ratios, _FROM_F, dst=ratios)
    # Keeps the logarithm defined below and the exponential in range above.
    cv2.min(linear, (4.0,) * 4, dst=linear)
    dark = _below(linear, _GAMMA_KNEE)
    straight = np.maximum(linear.reshape(-1)[dark], 0.0) * 12.92
    cv2.max(linear, (_GAMMA_KNEE / 2,) * 4, dst=linear)
    cv2.log(linear, dst=linear)
    linear *= np.float32(1.0 / 2.4)
    cv2.exp(linear, dst=linear)
    linear.reshape(-1)[dark] = (straight + 0.055) / 1.055
    # Nothing is negative here, so that the absolute value does no harm.
    cv2.convertScaleAbs(linear, dst=out, alpha=255.0 * 1.055, beta=-255.0 * 0.055)


def _below(values: Floats, knee: float) -> npt.NDArray[np.intp]:
    """Flat places of values below `knee`; most strips have none."""
    if values.min() >= knee:
        return np.empty(0, np.intp)
    return np.flatnonzero(values.reshape(-1) < knee)
