"""Masks with something wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.synthetic.faults.glass import Alpha, Mask

Grey = npt.NDArray[np.uint8]

_TRIES = 40


def draw_mask_fault(rng: np.random.Generator, mask: Mask, *, tissue: Mask, kind: str) -> Grey | None:
    """A faulty mask as it is to be written.

    Args:
        rng: of what exactly is wrong.
        mask: bool (H, W), the right one.
        tissue: bool (H, W).
        kind: one of `MASK_KINDS`.

    Returns:
        uint8 (h, w), or (h, w, 3) for a painted one; None where no file is to be written.
    """
    return _KINDS[kind](rng, mask, tissue)


def mask_on_blob(mask: Mask, alpha: Alpha) -> Mask:
    """A mask that takes a blob for a region of interest: what lay beneath, and the blob's solid core."""
    return np.asarray(mask | (alpha > 0.5), dtype=bool)


def as_grey(mask: Mask) -> Grey:
    """0 and 255."""
    return mask.astype(np.uint8) * np.uint8(255)


def _missing(rng: np.random.Generator, mask: Mask, tissue: Mask) -> None:
    del rng, mask, tissue


def _empty(rng: np.random.Generator, mask: Mask, tissue: Mask) -> Grey:
    del rng, tissue
    return np.zeros(mask.shape, np.uint8)


def _full(rng: np.random.Generator, mask: Mask, tissue: Mask) -> Grey:
    del rng, tissue
    return np.full(mask.shape, 255, np.uint8)


def _other_size(rng: np.random.Generator, mask: Mask, tissue: Mask) -> Grey:
    """Half the size mostly; a quarter, cut, or turned in the others."""
    del tissue
    height, width = mask.shape
    grey = as_grey(mask)
    kind = rng.choice(["half", "half", "quarter", "cut", "transposed"])
    if kind == "cut" or (kind == "transposed" and height == width):
        return np.ascontiguousarray(grey[: height - int(rng.integers(1, 60)), : width - int(rng.integers(1, 60))])
    if kind == "transposed":
        return np.ascontiguousarray(grey.T)
    divisor = 2 if kind == "half" else 4
    size = (max(1, width // divisor), max(1, height // divisor))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_NEAREST), dtype=np.uint8)


def _not_binary(rng: np.random.Generator, mask: Mask, tissue: Mask) -> Grey:
    """Soft, numbered by piece, speckled as by JPEG, or painted in colour."""
    del tissue
    grey = as_grey(mask)
    kind = int(rng.integers(4))
    if kind == 0:
        return np.asarray(cv2.GaussianBlur(grey, (0, 0), rng.uniform(1.5, 5.0)), dtype=np.uint8)
    if kind == 1:
        _, pieces = cv2.connectedComponents(mask.astype(np.uint8))
        return np.asarray(pieces * 17 % 251 + (pieces > 0), dtype=np.uint8)
    if kind == 2:
        noise = rng.normal(0.0, rng.uniform(4.0, 12.0), mask.shape)
        edge = cv2.dilate(grey, np.ones((9, 9))) != cv2.erode(grey, np.ones((9, 9)))
        return np.asarray(np.clip(np.rint(grey + noise * edge), 0, 255), dtype=np.uint8)
    return np.asarray(mask[:, :, None] * rng.integers(60, 256, 3), dtype=np.uint8)


def _outside(rng: np.random.Generator, mask: Mask, tissue: Mask) -> Grey:
    """The mask of somewhere else: shifted until it hardly meets tissue; discs on the glass where it always does."""
    height, width = mask.shape
    best, least = mask, 2.0
    for _ in range(_TRIES):
        moved = np.roll(mask, (int(rng.integers(height)), int(rng.integers(width))), axis=(0, 1))
        share = float((moved & tissue).sum()) / max(1, int(moved.sum()))
        if share < least:
            best, least = moved, share
        if least == 0.0:
            break
    far = cv2.distanceTransform((~tissue).astype(np.uint8), cv2.DIST_L2, 5)
    grey = as_grey(np.asarray(best & (far > 4.0), dtype=bool))
    if not grey.any():
        y, x = divmod(int(far.argmax()), width)
        cv2.circle(grey, (x, y), max(1, int(0.7 * far[y, x])), 255, -1)
    return grey


_KINDS: Mapping[str, Callable[[np.random.Generator, Mask, Mask], Grey | None]] = MappingProxyType(
    {
        "mask-missing": _missing,
        "mask-empty": _empty,
        "mask-size": _other_size,
        "mask-not-binary": _not_binary,
        "mask-full": _full,
        "mask-outside-tissue": _outside,
    }
)
MASK_KINDS: tuple[str, ...] = tuple(_KINDS)
