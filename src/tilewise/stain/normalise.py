"""Bring a slide's pixels to the look of a target."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.stain.config import Method, StainConfig
from tilewise.stain.density import Rgb, Triple, log_light, to_levels
from tilewise.stain.fit import fit_picture
from tilewise.stain.lab import LabTransfer
from tilewise.stain.profile import StainProfile
from tilewise.stain.strips import Scratch, map_strips
from tilewise.stain.trust import untrusted_reason

_CODE_VERSION = 2


class Normaliser:
    """A map of pixels from a slide's stain to a target's.

    Macenko and Vahadane: a pixel's densities are unmixed into the amounts of the slide's two dyes by least squares, the
    amounts scaled so that their 99th percentiles become the target's, and mixed again with the target's colours and
    glass (Macenko et al. 2009); what neither dye explains is dropped, as in the paper. Reinhard: see `LabTransfer`.
    Where the source's or target's estimate is not to be believed, and where source and target are the same, pixels
    stay exactly as they are.

    Attributes:
        reason: why nothing is normalised, in words; '' where it is, or where there is nothing to do.
    """

    def __init__(
        self, source: StainProfile, target: StainProfile, method: Method, *, config: StainConfig | None = None
    ) -> None:
        config = config or StainConfig(method=method)
        self.method = method
        self.reason = untrusted_reason(source, config)
        if not self.reason and (at_target := untrusted_reason(target, config)):
            self.reason = f"the target: {at_target}"
        self._source, self._target = source.digest, target.digest
        self._transfer: LabTransfer | _DyeTransfer | None = None
        if self.reason or source == target:
            return
        if method == "reinhard":
            self._transfer = LabTransfer(_lab(source), _lab(target))
        else:
            self._transfer = _DyeTransfer(dye_matrix(source, target), source.glass, target.glass)

    @property
    def trusted(self) -> bool:
        """Whether the estimates are believed; else `apply` changes nothing."""
        return not self.reason

    @property
    def signature(self) -> dict[str, Any]:
        """Everything that changes the pixels; part of a cache key."""
        if self._transfer is None:
            return {"method": "none", "version": _CODE_VERSION}
        return {"method": self.method, "source": self._source, "target": self._target, "version": _CODE_VERSION}

    def of(self, _rgb: Rgb, /) -> Normaliser:
        """The map of a piece of the slide: this one; see `TileNormaliser.of`."""
        return self

    def apply(self, rgb: Rgb) -> Rgb:
        """Normalise a picture (H, W, 3) or tiles (N, H, W, 3); uint8, a new array unless nothing is to be done."""
        return rgb if self._transfer is None else map_strips(rgb, self._transfer.apply)


class TileNormaliser:
    """Maps of pixels to a target's stain, each tile's by a fit of its own.

    Attributes:
        num_unnormalised: tiles so far whose estimate was not to be believed, and that stay as they are.
    """

    def __init__(self, target: StainProfile, method: Method, *, config: StainConfig | None = None) -> None:
        self._target, self._method = target, method
        self._config = config or StainConfig(method=method, per="tile")
        self.num_unnormalised = 0

    @property
    def signature(self) -> dict[str, Any]:
        """Everything that changes the pixels; part of a cache key."""
        return {
            "method": self._method,
            "per": "tile",
            "target": self._target.digest,
            "trust": self._config.trust.model_dump(mode="json"),
            "version": _CODE_VERSION,
        }

    def of(self, rgb: Rgb, /) -> Normaliser:
        """The map of one tile, fitted to the tissue in it; uint8 (H, W, 3)."""
        normaliser = Normaliser(fit_picture(rgb, self._method), self._target, self._method, config=self._config)
        self.num_unnormalised += not normaliser.trusted
        return normaliser


AnyNormaliser = Normaliser | TileNormaliser


def normalise_each(
    tiles_NHWC: Rgb, target: StainProfile, method: Method, *, config: StainConfig | None = None
) -> tuple[Rgb, tuple[str, ...]]:
    """Normalise every tile by a fit of its own; where that is not to be believed, the tile stays as it is.

    Returns:
        The tiles, and for each the reason why it was left alone, or ''.
    """
    out = np.empty_like(tiles_NHWC)
    reasons = []
    each = TileNormaliser(target, method, config=config)
    for index, tile in enumerate(tiles_NHWC):
        normaliser = each.of(tile)
        out[index] = normaliser.apply(tile)
        reasons.append(normaliser.reason)
    return out, tuple(reasons)


def dye_matrix(source: StainProfile, target: StainProfile) -> npt.NDArray[np.float64]:
    """The matrix (3, 3) that takes a row of densities from the source's dyes to the target's."""
    scale = np.array(target.concentrations) / np.array(source.concentrations)
    matrix: npt.NDArray[np.float64] = np.linalg.pinv(source.matrix) @ np.diag(scale) @ target.matrix
    return matrix


class _DyeTransfer:
    def __init__(self, matrix: npt.NDArray[np.float64], glass_from: Triple, glass_to: Triple) -> None:
        offset = np.log(np.asarray(glass_to) + 1.0) - np.log(np.asarray(glass_from) + 1.0) @ matrix
        self._matrix = np.c_[matrix.T, offset].astype(np.float32)

    def apply(self, strip: Rgb, out: Rgb, scratch: Scratch) -> None:
        light = log_light(strip, scratch.plane("light", strip))
        cv2.transform(light, self._matrix, dst=light)
        to_levels(light, out)


def _lab(profile: StainProfile) -> tuple[Triple, Triple, Triple]:
    return profile.lab_mean, profile.lab_std, profile.glass
