"""Decoded samples as a file stores them, and their way to 8-bit RGB."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Kind = Literal["grey", "grey+alpha", "rgb", "rgba", "cmyk"]
RGB = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Samples:
    """Samples of one image, palettes already looked up, orientation not yet applied.

    Attributes:
        pixels: uint8 or uint16, (H, W) for `grey`, else (H, W, C).
        kind: what the channels mean. CMYK counts ink: 0 is blank paper.
        top: the value that means full scale, 255 for 8 bits.
        premultiplied: whether colours are already weighted by alpha.
        notes: what the decoder had to handle.
        highest: sample as stored, where `pixels` are turned round or that has been counted already; else None.
    """

    pixels: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
    kind: Kind
    top: int
    premultiplied: bool = False
    notes: tuple[str, ...] = ()
    highest: int | None = None


@dataclass(frozen=True)
class SampleRange:
    """How much of their depth the samples of a slide use.

    Attributes:
        highest: sample, as stored.
        full_scale: the sample that was taken for full scale.
    """

    highest: int
    full_scale: int


def sample_range(samples: Samples) -> SampleRange | None:
    """How far the samples of a slide deeper than 8 bits reach; None of other slides."""
    if samples.top <= 255:
        return None
    highest = int(samples.pixels.max(initial=0)) if samples.highest is None else samples.highest
    return SampleRange(highest, samples.top)


def to_rgb(samples: Samples) -> tuple[RGB, tuple[str, ...]]:
    """Convert samples to 8-bit RGB on white.

    Depths other than 8 bits are scaled by their full range, rounded; alpha is laid on white; CMYK is converted without
    a colour profile, as R = (1 - C)(1 - K).

    Returns:
        uint8 (H, W, 3), and what was done in words.
    """
    notes = list(samples.notes)
    pixels = _to_eight_bits(samples, notes)
    if samples.kind == "cmyk":
        notes.append("CMYK converted without a colour profile")
        return _from_cmyk(pixels), tuple(notes)
    if samples.kind in {"grey+alpha", "rgba"}:
        pixels = _on_white(pixels, samples.premultiplied, notes)
    if samples.kind in {"grey", "grey+alpha"}:
        grey = pixels.reshape(pixels.shape[:2])
        pixels = np.repeat(grey[:, :, np.newaxis], 3, axis=2)
        notes.append("grey repeated in three channels")
    return np.ascontiguousarray(pixels), tuple(notes)


def _to_eight_bits(samples: Samples, notes: list[str]) -> npt.NDArray[np.uint8]:
    pixels, top = samples.pixels, samples.top
    if top == 255 and pixels.dtype == np.uint8:
        return pixels.astype(np.uint8, copy=False)
    levels = np.arange(np.iinfo(pixels.dtype).max + 1, dtype=np.uint64)
    table = np.minimum((levels * 255 + top // 2) // top, 255).astype(np.uint8)
    bits = top.bit_length()
    notes.append(f"{bits}-bit samples scaled to 8 bits")
    if (reach := sample_range(samples)) and 0 < reach.highest <= top // 2:
        notes.append(f"samples reach only {reach.highest} of {top}")
    scaled: npt.NDArray[np.uint8] = table[pixels]
    return scaled


def _on_white(pixels: npt.NDArray[np.uint8], premultiplied: bool, notes: list[str]) -> npt.NDArray[np.uint8]:
    colour, alpha = pixels[:, :, :-1], pixels[:, :, -1:]
    lowest, highest = int(alpha.min(initial=255)), int(alpha.max(initial=0))
    if lowest == 255:
        notes.append("opaque alpha dropped")
        return colour
    if highest == 0:
        # A slide that cannot be seen is no slide: some writers leave the alpha channel at 0.
        notes.append("alpha is 0 everywhere and was ignored")
        return colour
    notes.append("alpha laid on white")
    veil = 255 - alpha.astype(np.uint16)
    if premultiplied:
        laid: RGB = np.minimum(colour + veil, 255).astype(np.uint8)
    else:
        # c * a + 255 * (255 - a) <= 255 * 255, so 16 bits hold it, the rounding term included.
        laid = ((colour * (255 - veil) + 255 * veil + 127) // 255).astype(np.uint8)
    return laid


def _from_cmyk(pixels: npt.NDArray[np.uint8]) -> RGB:
    blank = 255 - pixels.astype(np.uint16)
    return ((blank[:, :, :3] * blank[:, :, 3:] + 127) // 255).astype(np.uint8)
