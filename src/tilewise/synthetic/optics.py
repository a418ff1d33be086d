"""From amounts of dye to a picture: staining, light, glass, blur, noise and compression."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.synthetic.fields import Field, smooth_field
from tilewise.units import Size

# Optical densities in red, green, blue of the dyes as scanners commonly see them, each of length 1.
_HAEMATOXYLIN = np.array([0.56, 0.74, 0.37])
_EOSIN = np.array([0.12, 0.86, 0.49])
_NOISE_PX = 256


@dataclass(frozen=True)
class Appearance:
    """One slide's staining and scanning. It does not depend on the label.

    Attributes:
        haematoxylin, eosin: (3,) optical density in red, green, blue of one unit of dye.
        glass: (3,) grey levels of empty glass.
        unevenness: grey levels by which the light varies over the slide.
        blur_px: standard deviation of the blur.
        noise: standard deviation of the noise, grey levels.
        jpeg_quality: of the compression the scanner is thought to have used.
    """

    haematoxylin: npt.NDArray[np.float32]
    eosin: npt.NDArray[np.float32]
    glass: npt.NDArray[np.float32]
    unevenness: float
    blur_px: float
    noise: float
    jpeg_quality: int


def draw_appearance(rng: np.random.Generator) -> Appearance:
    """Draw one slide's staining and scanning: mild differences, as within one laboratory."""
    brightness = rng.uniform(222.0, 242.0)
    return Appearance(
        haematoxylin=_dye(rng, _HAEMATOXYLIN, rng.uniform(0.92, 1.10)),
        eosin=_dye(rng, _EOSIN, rng.uniform(0.82, 1.20)),
        glass=(brightness + rng.normal(0.0, 1.5, 3) + np.array([0.5, -1.0, 0.5])).astype(np.float32),
        unevenness=rng.uniform(0.5, 2.5),
        blur_px=rng.uniform(0.35, 0.7),
        noise=rng.uniform(0.5, 1.2),
        jpeg_quality=int(rng.integers(82, 95)),
    )


def draw_glass(rng: np.random.Generator, size: Size, look: Appearance) -> npt.NDArray[np.float32]:
    """Empty glass: grey-white, a little uneven, with some specks of dust; float32 (height, width, 3)."""
    short = min(size)
    shape = (max(2, round(size.height / 32)), max(2, round(size.width / 32)))
    slow = look.unevenness * smooth_field(rng, shape, short / 100, short / 100)
    tint = 0.3 * look.unevenness * np.stack([smooth_field(rng, shape, short / 130, short / 130) for _ in "rgb"], axis=2)
    glass: npt.NDArray[np.float32] = cv2.resize(look.glass + slow[:, :, None] + tint, size)
    for _ in range(int(rng.poisson(9.0 * size.width * size.height / 1e6))):
        center = (int(rng.integers(size.width)), int(rng.integers(size.height)))
        axes = (int(rng.integers(1, 3)), int(rng.integers(1, 4)))
        level = float(rng.uniform(0.45, 0.9))
        shade = tuple(float(value) * level for value in look.glass)
        cv2.ellipse(glass, center, axes, float(rng.uniform(0, 180)), 0, 360, shade, -1, cv2.LINE_AA)
    return glass


def shine_through(glass: npt.NDArray[np.float32], haematoxylin: Field, eosin: Field, look: Appearance) -> None:
    """Darken `glass` (height, width, 3), in place, by the dyes on it (Beer and Lambert)."""
    dyed = np.flatnonzero(haematoxylin + eosin)
    dyes = np.stack([haematoxylin.ravel()[dyed], eosin.ravel()[dyed]], axis=1)
    # exp2 is the fastest of the exponentials; a density of 1 is a factor of 10.
    densities = dyes @ (np.float32(-np.log2(10.0)) * np.stack([look.haematoxylin, look.eosin]))
    pixels = glass.reshape(-1, 3)
    pixels[dyed] *= np.exp2(densities)


def scan(rng: np.random.Generator, picture: npt.NDArray[np.float32], look: Appearance) -> npt.NDArray[np.uint8]:
    """Add noise and pass through JPEG; float32 RGB grey levels in, uint8 RGB out."""
    height, width = picture.shape[:2]
    # One tile of noise, turned over from place to place: seen through JPEG nobody can tell.
    noise = rng.standard_normal((_NOISE_PX, _NOISE_PX, 3), dtype=np.float32) * np.float32(look.noise)
    grey = np.empty((height, width, 3), np.uint8)
    for y in range(0, height, _NOISE_PX):
        for x in range(0, width, _NOISE_PX):
            part = picture[y : y + _NOISE_PX, x : x + _NOISE_PX]
            turned = noise[:: 1 if rng.random() < 0.5 else -1, :: 1 if rng.random() < 0.5 else -1]
            # OpenCV adds, rounds and cuts to 0..255 in one pass.
            grey[y : y + _NOISE_PX, x : x + _NOISE_PX] = cv2.add(
                part, np.ascontiguousarray(turned[: part.shape[0], : part.shape[1]]), dtype=cv2.CV_8U
            )
    quality = [cv2.IMWRITE_JPEG_QUALITY, look.jpeg_quality]
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(grey, cv2.COLOR_RGB2BGR), quality)
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    rgb: npt.NDArray[np.uint8] = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
    return rgb


def _dye(rng: np.random.Generator, vector: npt.NDArray[np.float64], strength: float) -> npt.NDArray[np.float32]:
    shifted = vector + rng.normal(0.0, 0.02, 3)
    return (strength * shifted / np.linalg.norm(shifted)).astype(np.float32)
