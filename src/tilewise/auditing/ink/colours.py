"""Which colours are ink and never haematoxylin or eosin: rules on a small, even image of the slide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.auditing.ink.facts import Colour
from tilewise.auditing.ink.fields import Bool, Field
from tilewise.units import Size

WORKING_SIDE: Final = 512
_GLASS_PERCENTILE, _DARKEST_GLASS = 99, 200
_PALE, _COLOURLESS = 0.86, 0.10


@dataclass(frozen=True)
class ReducedImage:
    """A small copy of the slide in which ink stands out.

    Attributes:
        rgb: uint8 (h, w, 3), reduced by area.
        glass: float32 (3,), the level of empty glass.
        scale: level-0 pixels times this are pixels of the reduced image.
        hue: degrees, red around 0, from -60 to 300.
        saturation, value: 0 to 1, of the colours relative to glass.
        chroma: difference of the largest and smallest channel, 0 to 1.
        relative: (h, w, 3) share of the glass's light, smoothed, 0 to 1.
        density: (h, w, 3) optical density against glass.
        grey: grey levels, not smoothed.
        strong: saturation above which a colour is ink's, by Otsu's threshold within bounds.
    """

    rgb: npt.NDArray[np.uint8]
    glass: npt.NDArray[np.float32]
    scale: float
    hue: Field
    saturation: Field
    value: Field
    chroma: Field
    relative: Field
    density: Field
    grey: Field
    strong: float

    @classmethod
    def of(cls, rgb: npt.NDArray[np.uint8]) -> Self:
        """Reduce a slide; uint8 (H, W, 3)."""
        height, width = rgb.shape[:2]
        scale = min(1.0, WORKING_SIDE / max(height, width))
        size = Size(max(1, round(width * scale)), max(1, round(height * scale)))
        small = rgb if scale == 1.0 else cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
        glass = _glass(small)
        table = np.minimum(np.arange(256, dtype=np.float32)[:, None] / glass, 1.0).astype(np.float32)
        relative = cv2.LUT(cv2.GaussianBlur(small, (0, 0), 1.5), table[None])
        hue, saturation, value = cv2.split(cv2.cvtColor(relative, cv2.COLOR_RGB2HSV))
        hue = np.where(hue > 300.0, hue - 360.0, hue)
        density = cv2.log(np.maximum(relative, np.float32(1 / 255))) * np.float32(-1 / np.log(10))
        return cls(
            rgb=small,
            glass=glass,
            scale=scale,
            hue=hue,
            saturation=saturation,
            value=value,
            chroma=saturation * value,
            relative=relative,
            density=density,
            grey=grey,
            strong=_strong_saturation(saturation),
        )


@dataclass(frozen=True)
class Rule:
    """How one colour of ink is told.

    Attributes:
        strict: colours that, in an even area, are this ink beyond doubt.
        loose: colours that may belong to a spot if they touch its seed.
        texture: grey levels of fine detail from which on an area is not even enough.
        pure: strict colours that tissue comes nowhere near, which need not be so even.
        pure_texture: grey levels of fine detail allowed for those.
        seed_share: least share of even, strict pixels within a spot.
    """

    strict: Callable[[ReducedImage], Bool]
    loose: Callable[[ReducedImage], Bool]
    texture: float
    seed_share: float
    pure: Callable[[ReducedImage], Bool] | None = None
    pure_texture: float = 0.0

    def seeds(self, image: ReducedImage, strict: Bool, loose: Bool) -> Bool:
        """Which strict pixels lie in areas as even as paint; both as this rule's own functions gave them."""
        texture = texture_within(image.grey, loose | strict)
        even = texture < self.texture
        if self.pure is not None:
            even |= self.pure(image) & (texture < self.pure_texture)
        return np.asarray(strict & even, dtype=bool)


def bare_glass(image: ReducedImage) -> Bool:
    """Pale, colourless pixels of the reduced image; bool (h, w)."""
    return np.asarray((image.relative.min(axis=2) > _PALE) & (image.chroma < _COLOURLESS), dtype=bool)


def texture_within(grey: Field, region: Bool) -> Field:
    """Mean absolute fine detail within a region, its outline left out; grey levels, infinite outside.

    Paint is even, tissue is not.
    """
    inner = cv2.erode(region.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
    weight = cv2.GaussianBlur(inner, (0, 0), 2.0)
    smooth = cv2.GaussianBlur(grey * inner, (0, 0), 2.0) / np.maximum(weight, np.float32(1e-6))
    fine = cv2.blur(cv2.absdiff(grey, smooth) * inner, (7, 7)) / np.maximum(cv2.blur(inner, (7, 7)), np.float32(1e-6))
    return np.where(inner > 0, fine, np.float32(np.inf)).astype(np.float32)


def _glass(small: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    levels = np.stack([np.bincount(small[:, :, channel].ravel(), minlength=256) for channel in range(3)])
    below = np.cumsum(levels, axis=1) >= small[:, :, 0].size * _GLASS_PERCENTILE / 100
    return np.asarray(np.maximum(np.argmax(below, axis=1), _DARKEST_GLASS), dtype=np.float32)


def _strong_saturation(saturation: Field) -> float:
    """Otsu's threshold (Otsu, IEEE Trans. SMC 9(1), 1979) of saturation, kept within what paint and dyes reach."""
    levels = (saturation * 255.0).astype(np.uint8)
    otsu, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return float(np.clip(otsu / 255.0, 0.36, 0.50))


def _excess(image: ReducedImage, ink: int, *others: int) -> Field:
    """By how much the least of the other channels' densities exceeds the ink's own; dyes never do so in green."""
    density = image.density
    least = density[:, :, others[0]]
    for other in others[1:]:
        least = np.minimum(least, density[:, :, other])
    excess: Field = least - density[:, :, ink]
    return excess


def _hue(image: ReducedImage, low: float, high: float) -> Bool:
    return np.asarray((image.hue > low) & (image.hue < high), dtype=bool)


# Haematoxylin and eosin both absorb green most of all; ink that lets green through can be neither.
def _green(image: ReducedImage) -> Bool:
    return (_excess(image, 1, 0, 2) > 0.085) & (image.saturation > 0.8 * image.strong)


def _green_loose(image: ReducedImage) -> Bool:
    return (_excess(image, 1, 0, 2) > 0.04) & _hue(image, 62, 200)


def _blue(image: ReducedImage) -> Bool:
    return _hue(image, 192, 248) & (image.saturation > image.strong) & (_excess(image, 1, 0) > 0.0)


def _pure_blue(image: ReducedImage) -> Bool:
    return _hue(image, 195, 228) & (image.saturation > 0.52)


def _blue_loose(image: ReducedImage) -> Bool:
    return _hue(image, 185, 254) & (image.saturation > 0.36)


# Blood and bone are as red as paint, but grained.
def _red(image: ReducedImage) -> Bool:
    return _hue(image, -11, 17) & (image.saturation > 0.5) & (_excess(image, 0, 1, 2) > 0.25)


def _pure_red(image: ReducedImage) -> Bool:
    return _hue(image, -6.5, 17) & (image.saturation > 0.76) & (image.value > 0.5)


def _red_loose(image: ReducedImage) -> Bool:
    return _hue(image, -15, 25) & (image.saturation > 0.45)


def _yellow(image: ReducedImage) -> Bool:
    return _hue(image, 35, 72) & (image.saturation > 1.15 * image.strong) & (image.value > 0.55)


def _yellow_loose(image: ReducedImage) -> Bool:
    return _hue(image, 28, 78) & (image.saturation > 0.28)


# Nuclei are never so dark without a touch of purple.
def _black(image: ReducedImage) -> Bool:
    purple = np.minimum(image.relative[:, :, 0], image.relative[:, :, 2]) - image.relative[:, :, 1]
    grey = (image.saturation < 0.42) | (image.chroma < 0.05)
    return (image.value < 0.42) & (image.chroma < 0.15) & (purple < 0.07) & grey


def _pure_black(image: ReducedImage) -> Bool:
    return (image.value < 0.2) & (image.chroma < 0.04)


def _black_loose(image: ReducedImage) -> Bool:
    return (image.value < 0.5) & (image.chroma < 0.2)


RULES: Final[dict[Colour, Rule]] = {
    "green": Rule(_green, _green_loose, texture=12.0, seed_share=0.2),
    "blue": Rule(_blue, _blue_loose, texture=4.5, seed_share=0.12, pure=_pure_blue, pure_texture=7.0),
    "red": Rule(_red, _red_loose, texture=3.0, seed_share=0.12, pure=_pure_red, pure_texture=5.5),
    "yellow": Rule(_yellow, _yellow_loose, texture=8.0, seed_share=0.2),
    "black": Rule(_black, _black_loose, texture=4.0, seed_share=0.18, pure=_pure_black, pure_texture=7.0),
}
