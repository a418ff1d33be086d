"""Which of two copies was made from the other, where the pictures tell."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.auditing.copies.agree import Agreement
from tilewise.auditing.copies.fingerprint import Fingerprint

# Below, the frames are as good as equal.
_SMALLER = 0.97
# Of the small picture; what differs for want of sharpness lies about in smaller pieces.
_SMALLEST_PASTE_PX = 60
# How much stranger one side of the differing part must be than the other.
_CLEARLY = 1.4
# Where one slide shows no tissue, the other is the stranger one only if what it shows there is no tissue either.
_NOTHING_THERE = 1.5
_LOST_GRAIN = 0.93
_MORE_BLOCKS = 1.06


def derived_side(one: Fingerprint, two: Fingerprint, agreement: Agreement, scale: float) -> tuple[int, str] | None:
    """Tell the derived slide: 0 or 1, and the reason as a clause; None where nothing tells.

    In this order: what differs looks unlike the rest of its slide (something was pasted), the smaller frame (a crop or
    a smaller scan), less fine grain or steps on the grid of JPEG blocks (compressed again).

    Args:
        one: the first slide.
        two: the second slide.
        agreement: how they agree.
        scale: pixels of the second per pixel of the first.
    """
    pasted = _pasted_side(agreement)
    if pasted is not None:
        return pasted, "what differs there is unlike the rest of its tissue"
    area = float(one.size.prod()) * scale**2, float(two.size.prod())
    if min(area) < _SMALLER * max(area):
        return int(area[1] < area[0]), "it shows less: a part of the other"
    if not 0.95 < scale < 1.05:
        return int(scale < 1), "it has fewer pixels for the same field"
    # Of two fields photographed side by side neither was made from the other.
    return _compressed_side(one, two) if agreement.overlap >= _SMALLER else None


def _compressed_side(one: Fingerprint, two: Fingerprint) -> tuple[int, str] | None:
    blocks, grain = (one.detail[1], two.detail[1]), (one.detail[0], two.detail[0])
    if max(blocks) > _MORE_BLOCKS * min(blocks):
        return int(blocks[1] > blocks[0]), "its grain stands on the grid of JPEG blocks"
    if min(grain) < _LOST_GRAIN * max(grain):
        return int(grain[1] < grain[0]), "it has lost fine grain"
    return None


def _pasted_side(agreement: Agreement) -> int | None:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(agreement.differing.view(np.uint8), connectivity=8)
    large = np.r_[False, stats[1:, cv2.CC_STAT_AREA] >= _SMALLEST_PASTE_PX]
    if not large.any() or not agreement.agreeing.any():
        return None
    strange = [
        _strangeness(picture, agreement.agreeing, large[labels]) for picture in (agreement.first, agreement.second)
    ]
    if max(strange) < _CLEARLY * min(strange):
        return None
    return int(strange[1] > strange[0])


def _strangeness(
    picture: npt.NDArray[np.float32], agreeing: npt.NDArray[np.bool_], differing: npt.NDArray[np.bool_]
) -> float:
    """How far the differing part's density, in spreads, and grain, in powers of e, lie from the agreeing part's."""
    odd = differing & (picture > 0)
    if odd.sum() < _SMALLEST_PASTE_PX:
        return _NOTHING_THERE
    grain = np.abs(np.diff(picture, axis=1, append=picture[:, -1:])) + 1e-3
    density = abs(float(np.median(picture[odd])) - float(np.median(picture[agreeing])))
    # Paste is smoother than tissue more often than it is darker: glossy, flat or drawn with a few lines.
    return density / max(float(picture[agreeing].std()), 1e-3) + 2.0 * abs(
        float(np.log(np.median(grain[odd]) / np.median(grain[agreeing])))
    )
