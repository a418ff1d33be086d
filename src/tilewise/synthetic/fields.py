"""Smooth random fields, the stuff that tissue is drawn from."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

# The coarse grid a field is drawn on has this many standard deviations between its points.
_PITCH = 0.6


def smooth_field(rng: np.random.Generator, shape: tuple[int, int], sigma_x: float, sigma_y: float) -> Field:
    """A Gaussian random field of mean 0 and variance 1, correlated over `sigma_x` by `sigma_y` pixels.

    Args:
        rng: where the randomness comes from.
        shape: (height, width) of the field.
        sigma_x: standard deviation of the smoothing along x, in pixels.
        sigma_y: the same along y.

    Returns:
        float32 (height, width). Drawn on a grid as coarse as the smoothing allows.
    """
    height, width = shape
    pitch_x, pitch_y = max(1.0, _PITCH * sigma_x), max(1.0, _PITCH * sigma_y)
    # A margin on every side, so that the blur at the border reflects nothing that is seen.
    margin_x, margin_y = int(3 * sigma_x / pitch_x) + 1, int(3 * sigma_y / pitch_y) + 1
    coarse_width = int(np.ceil(width / pitch_x)) + 1
    coarse_height = int(np.ceil(height / pitch_y)) + 1
    noise = rng.standard_normal((coarse_height + 2 * margin_y, coarse_width + 2 * margin_x), dtype=np.float32)
    blur_x, blur_y = sigma_x / pitch_x, sigma_y / pitch_y
    noise = cv2.GaussianBlur(noise, (0, 0), sigmaX=blur_x, sigmaY=blur_y)
    noise *= np.float32(np.sqrt(4.0 * np.pi * blur_x * blur_y))
    noise = noise[margin_y : margin_y + coarse_height, margin_x : margin_x + coarse_width]
    if pitch_x == 1.0 and pitch_y == 1.0:
        return np.ascontiguousarray(noise[:height, :width])
    size = (round(coarse_width * pitch_x), round(coarse_height * pitch_y))
    return np.ascontiguousarray(cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC)[:height, :width])


def smooth_line(rng: np.random.Generator, length: int, sigma: float) -> Field:
    """A Gaussian random line of mean 0 and variance 1, correlated over `sigma` pixels; float32 (length,)."""
    coarse = rng.standard_normal(int(length / sigma) + 6, dtype=np.float32)
    coarse = np.convolve(coarse, np.array([0.25, 0.5, 0.25], np.float32) / 0.6124, mode="valid")
    at = np.arange(length, dtype=np.float32) / sigma + rng.uniform(0.0, 1.0)
    row = np.zeros((1, length), np.float32)
    border = cv2.BORDER_REPLICATE
    line = cv2.remap(coarse[None, :], at[None, :].astype(np.float32), row, cv2.INTER_CUBIC, borderMode=border)
    return np.asarray(line[0], dtype=np.float32)


def soft_step(values: Field, softness: float) -> Field:
    """0 below zero, 1 above, with a linear ramp of this total width around zero."""
    return np.asarray(np.clip(values / np.float32(softness) + np.float32(0.5), 0.0, 1.0), dtype=np.float32)
