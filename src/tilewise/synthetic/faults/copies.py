"""Copies of a slide that are not equal to it: turned, cut, compressed, brighter, stained otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.synthetic.faults.glass import Mask, Rgb

_LARGEST_CUT = 0.20
# Ruifrok and Johnston, Analytical and Quantitative Cytology and Histology 23(4), 2001: densities of haematoxylin,
# eosin and a third dye (DAB) in red, green, blue.
_DYES = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])


@dataclass(frozen=True)
class Copy:
    """A copy of a slide and what was done to it.

    Attributes:
        rgb: uint8 (H, W, 3).
        mask: bool (H, W), moved along.
        steps: what was done, by name, in order; plain JSON.
    """

    rgb: Rgb
    mask: Mask
    steps: dict[str, Any]

    def moved(self, rgb: Rgb, mask: Mask, **step: Any) -> Copy:
        """The copy after one more step that moves pixels."""
        return Copy(np.ascontiguousarray(rgb), np.ascontiguousarray(mask), {**self.steps, **step})

    def coloured(self, rgb: Rgb, **step: Any) -> Copy:
        """The copy after one more step that leaves pixels where they are."""
        return Copy(rgb, self.mask, {**self.steps, **step})


def draw_copy(rng: np.random.Generator, rgb: Rgb, *, mask: Mask, family: str) -> Copy:
    """Copy a slide otherwise.

    Args:
        rng: of what exactly is done.
        rgb: uint8 (H, W, 3).
        mask: bool (H, W), moved along with the pixels.
        family: one of `COPY_FAMILIES`.
    """
    copy = Copy(rgb, mask, {})
    for step in _FAMILIES[family](rng):
        copy = step(rng, copy)
    return copy


def _rotate(rng: np.random.Generator, copy: Copy) -> Copy:
    quarters = int(rng.integers(1, 4))
    return copy.moved(np.rot90(copy.rgb, quarters), np.rot90(copy.mask, quarters), rotated=90 * quarters)


def _flip(rng: np.random.Generator, copy: Copy) -> Copy:
    axis = int(rng.integers(2))
    name = ("upside-down", "left-right")[axis]
    return copy.moved(np.flip(copy.rgb, axis), np.flip(copy.mask, axis), flipped=name)


def _crop(rng: np.random.Generator, copy: Copy) -> Copy:
    """Cut off up to a fifth of each side, in all, wherever."""
    height, width = copy.mask.shape
    cut_y, cut_x = (round(side * rng.uniform(0.03, _LARGEST_CUT)) for side in (height, width))
    y, x = int(rng.integers(cut_y + 1)), int(rng.integers(cut_x + 1))
    rows, columns = slice(y, y + height - cut_y), slice(x, x + width - cut_x)
    box = [x, y, width - cut_x, height - cut_y]
    return copy.moved(copy.rgb[rows, columns], copy.mask[rows, columns], cropped=box)


def _recompress(rng: np.random.Generator, copy: Copy) -> Copy:
    quality = int(rng.integers(30, 86))
    return copy.coloured(through_jpeg(copy.rgb, quality), jpeg=quality)


def _brighten(rng: np.random.Generator, copy: Copy) -> Copy:
    gain, offset = rng.uniform(0.8, 1.12), rng.uniform(-20.0, 15.0)
    levels = np.clip(np.rint((np.arange(256) - 128.0) * gain + 128.0 + offset), 0, 255).astype(np.uint8)
    return copy.coloured(levels[copy.rgb], gain=round(gain, 3), offset=round(offset, 1))


def _restain(rng: np.random.Generator, copy: Copy) -> Copy:
    strengths, shifts = rng.uniform(0.75, 1.3, 3), rng.uniform(-0.02, 0.02, 3)
    steps = {"stain": [round(float(v), 3) for v in strengths]}
    return copy.coloured(shift_stain(copy.rgb, strengths=strengths, shifts=shifts), **steps)


def _any_colour(rng: np.random.Generator) -> list[_Step]:
    steps: list[_Step] = [_recompress, _brighten, _restain]
    return [steps[k] for k in sorted(rng.permutation(3)[: int(rng.integers(1, 4))], reverse=True)]


def _combined(rng: np.random.Generator) -> list[_Step]:
    """At least one step that moves pixels and one that does not."""
    moves: list[_Step] = [_rotate, _flip, _crop]
    chosen = [moves[k] for k in sorted(rng.permutation(3)[: int(rng.integers(1, 4))])]
    return chosen + _any_colour(rng)


_Step = Callable[[np.random.Generator, Copy], Copy]
_FAMILIES: Mapping[str, Callable[[np.random.Generator], list[_Step]]] = MappingProxyType(
    {
        "rotated": lambda _: [_rotate],
        "flipped": lambda _: [_flip],
        "cropped": lambda _: [_crop],
        "recompressed": lambda _: [_recompress],
        "brightened": lambda _: [_brighten],
        "stain-shifted": lambda _: [_restain],
        "combined": _combined,
    }
)
COPY_FAMILIES: tuple[str, ...] = tuple(_FAMILIES)


def through_jpeg(rgb: Rgb, quality: int) -> Rgb:
    """The picture after JPEG compression."""
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.cvtColor(cv2.imdecode(encoded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), dtype=np.uint8)


def shift_stain(rgb: Rgb, *, strengths: npt.NDArray[np.float64], shifts: npt.NDArray[np.float64]) -> Rgb:
    """Scale and shift the amounts of haematoxylin, eosin and a third dye in optical density against the glass.

    Tellez et al., IEEE Transactions on Medical Imaging 37(9), 2018, use the same as an augmentation.
    """
    dyes = _DYES / np.linalg.norm(_DYES, axis=1, keepdims=True)
    # One matrix: to dyes, scaled, back to densities.
    turn = np.linalg.inv(dyes) @ np.diag(strengths) @ dyes
    glass = np.percentile(rgb[::7, ::7].reshape(-1, 3), 90, axis=0).astype(np.float32) + 1.0
    levels = np.log((np.arange(256)[:, None] + 1.0) / glass).astype(np.float32)
    density = np.stack([levels[:, channel][rgb[:, :, channel]] for channel in range(3)], axis=2)
    changed = cv2.transform(density, turn.T.astype(np.float32)) - (shifts @ dyes).astype(np.float32)
    return np.asarray(np.clip(np.rint(glass * np.exp(changed) - 1.0), 0, 255), dtype=np.uint8)
