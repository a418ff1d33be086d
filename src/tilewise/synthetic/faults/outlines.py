"""Outlines of blobs, as signed depth: pixels inside their edge, negative outside."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.synthetic.fields import Field

Outline = Callable[[np.random.Generator, tuple[int, ...], tuple[float, float], float], Field]


def glossy_outline(
    rng: np.random.Generator, shape: tuple[int, ...], middle: tuple[float, float], radius: float
) -> Field:
    """A drop: an ellipse with a few soft waves."""
    squeeze = rng.uniform(0.6, 1.0)
    return signed_depth([_ring(rng, middle, (radius, radius * squeeze), wobble=0.12)], shape)


def splat_outline(
    rng: np.random.Generator, shape: tuple[int, ...], middle: tuple[float, float], radius: float
) -> Field:
    """A splash: lobes around a drop, and droplets beside it."""
    rings = [_ring(rng, middle, (0.72 * radius, 0.72 * radius), wobble=0.1)]
    num = int(rng.integers(5, 11))
    for turn in np.linspace(0, 2 * np.pi, num, endpoint=False) + rng.uniform(0, 2 * np.pi):
        away, size = radius * rng.uniform(0.6, 0.95), radius * rng.uniform(0.15, 0.4)
        rings.append(_ring(rng, _at(middle, turn, away), (size, 0.8 * size), wobble=0.05))
    for _ in range(int(rng.integers(0, 5))):
        away, size = radius * rng.uniform(1.2, 1.7), radius * rng.uniform(0.04, 0.14)
        rings.append(_ring(rng, _at(middle, rng.uniform(0, 2 * np.pi), away), (size, size), wobble=0.05))
    return signed_depth(rings, shape)


def smear_outline(
    rng: np.random.Generator, shape: tuple[int, ...], middle: tuple[float, float], radius: float
) -> Field:
    """A broad stroke, bent, of changing width."""
    turn, bend = rng.uniform(0, 2 * np.pi), rng.normal(0.0, 0.8)
    rings, at = [], _at(middle, turn, -1.1 * radius)
    for step in range(14):
        size = radius * (0.42 + 0.12 * np.sin(0.6 * step + bend)) * (0.8 if step in (0, 13) else 1.0)
        rings.append(_ring(rng, at, (size, size), wobble=0.04))
        at = _at(at, turn, 0.17 * radius)
        turn += bend / 14
    return signed_depth(rings, shape)


def signed_depth(rings: list[npt.NDArray[np.float64]], shape: tuple[int, ...]) -> Field:
    """Signed distance in pixels to the edge of the union of some outlines; float32 of the shape."""
    filled = np.zeros(shape, np.uint8)
    for ring in rings:
        cv2.fillPoly(filled, [np.round(ring * 16).astype(np.int32)], (255,), cv2.LINE_AA, shift=4)
    # Softened before it is measured, so that the edge does not follow the pixels.
    solid = cv2.GaussianBlur(filled, (0, 0), 1.5) > 127
    inside = cv2.distanceTransform(solid.astype(np.uint8), cv2.DIST_L2, 5)
    outside = cv2.distanceTransform((~solid).astype(np.uint8), cv2.DIST_L2, 5)
    depth: Field = np.where(solid, inside - 0.5, 0.5 - outside).astype(np.float32)
    return depth


def _ring(
    rng: np.random.Generator, middle: tuple[float, float], radii: tuple[float, float], *, wobble: float
) -> npt.NDArray[np.float64]:
    turn = np.linspace(0.0, 2.0 * np.pi, 96, endpoint=False)
    radius = np.ones_like(turn)
    for wave in range(2, 6):
        radius += wobble * rng.standard_normal() / wave * np.cos(wave * turn + rng.uniform(0, 2 * np.pi))
    tilt = rng.uniform(0, np.pi)
    x, y = radii[0] * radius * np.cos(turn), radii[1] * radius * np.sin(turn)
    return np.stack(
        [middle[0] + x * np.cos(tilt) - y * np.sin(tilt), middle[1] + x * np.sin(tilt) + y * np.cos(tilt)], axis=1
    )


def _at(middle: tuple[float, float], turn: float, away: float) -> tuple[float, float]:
    return middle[0] + away * float(np.cos(turn)), middle[1] + away * float(np.sin(turn))
