"""Do two slides, laid onto each other, show the same cells: correlation of texture, place by place."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.auditing.copies.fingerprint import Fingerprint, grain_mask, open_picture, to_picture

Grey = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

# Side of the window correlated at each place, and the share of it that must be tissue of both.
_WINDOW_PX = 11
_LEAST_COVER = 0.35
# Coarser structure than this is taken off: neighbouring sections share it, and a tint or a vignette changes it.
_COARSE_SIGMA = 4.0
_MARGIN_PX, _RIM_PX = 12, 2
# Local contrast, of the grey range 0..1, below which nothing is there to be compared.
_LEAST_CONTRAST = 0.012
#: Local correlation from which the content is the same.
SAME = 0.55


@dataclass(frozen=True)
class Agreement:
    """Two pictures in one frame, compared.

    Attributes:
        overlap: share of the smaller tissue that lies within the other slide's frame.
        agreed: share of the tissue of both where there is something to compare and it is the same.
        differs: share of the tissue within both frames whose content differs, or that is hidden on one of the two.
        similarity: median local correlation where the content is the same, else of all; -1..1.
        first, second: the two pictures in the frame of the second; glass as zero.
        differing, agreeing: (h, w), where the content differs, and where it is the same.
    """

    overlap: float
    agreed: float
    differs: float
    similarity: float
    first: Grey
    second: Grey
    differing: Mask
    agreeing: Mask


def compare_textures(one: Fingerprint, two: Fingerprint, matrix: npt.NDArray[np.float64]) -> Agreement:
    """Compare `one`, moved by `matrix` (pixels of one to pixels of two), with `two`."""
    picture_one, tissue_one = open_picture(one)
    picture_two, tissue_two = open_picture(two)
    to_small = to_picture(one), to_picture(two)
    small = to_small[1] @ np.vstack([matrix, [0, 0, 1]]) @ np.linalg.inv(to_small[0])
    scale = abs(np.linalg.det(small[:2, :2])) ** 0.5
    if scale > 1.0:
        # Compared at the coarser of the two scales: nothing is made up.
        shrink = np.diag([1 / scale, 1 / scale, 1.0])
        size = max(1, round(picture_two.shape[1] / scale)), max(1, round(picture_two.shape[0] / scale))
        picture_two = cv2.resize(picture_two, size, interpolation=cv2.INTER_AREA)
        tissue_two = cv2.resize(tissue_two.view(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        shrink[0, 2] = shrink[1, 2] = 0.5 / scale - 0.5
        small = shrink @ small
    elif scale < 0.9:
        picture_one = cv2.GaussianBlur(picture_one, (0, 0), 0.5 * (1 / scale**2 - 1) ** 0.5)
    x, y, width, height = cv2.boundingRect(tissue_two.view(np.uint8))
    area_two = float(tissue_two.sum())
    picture_two, tissue_two, small = _cut(picture_two, tissue_two, small, (x, y, width, height))
    size = picture_two.shape[1], picture_two.shape[0]
    moved = cv2.warpAffine(picture_one, small[:2], size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    where = cv2.warpAffine(tissue_one.view(np.uint8), small[:2], size, flags=cv2.INTER_NEAREST) > 0
    frame = cv2.warpAffine(np.ones(picture_one.shape, np.uint8), small[:2], size, flags=cv2.INTER_NEAREST) > 0
    area_one = float(tissue_one.sum()) * abs(np.linalg.det(small[:2, :2]))
    shared = float(where.sum()) / max(area_one, 1.0), float((tissue_two & frame).sum()) / max(area_two, 1.0)
    both = where & tissue_two
    # The rim is left out: an outline agrees with itself whatever is inside.
    inside = cv2.erode(both.view(np.uint8), np.ones((2 * _RIM_PX + 1,) * 2, np.uint8), borderValue=1) > 0
    local, comparable = _local_correlation(moved, picture_two, inside)
    # What is tissue on one slide and no tissue on the other differs, as far as the frames overlap.
    lone = (where ^ tissue_two) & frame & (_smooth((where ^ tissue_two).astype(np.float32)) > 0.6)
    # Smooth paste that reaches over the glass takes nothing of the slide; paste as pale as glass hides grainy tissue.
    hidden = _mostly(lone & where, grain_mask(moved, where))
    hidden |= _mostly(lone & tissue_two, grain_mask(picture_two, tissue_two))
    agreeing = comparable & (local >= SAME)
    differing = (comparable & ~agreeing) | lone
    values = local[agreeing] if agreeing.any() else local[comparable]
    return Agreement(
        overlap=float(min(1.0, max(shared))),
        agreed=float(agreeing.sum()) / max(float(inside.sum()), 1.0),
        differs=float((comparable & ~agreeing | hidden).sum()) / max(float((comparable | hidden).sum()), 1.0),
        similarity=float(np.median(values)) if values.size else 0.0,
        first=np.where(where, moved, 0).astype(np.float32),
        second=np.where(tissue_two, picture_two, 0).astype(np.float32),
        differing=differing,
        agreeing=agreeing,
    )


def _cut(
    picture: Grey, tissue: Mask, matrix: npt.NDArray[np.float64], box: tuple[int, int, int, int]
) -> tuple[Grey, Mask, npt.NDArray[np.float64]]:
    """The picture about its tissue, and the map that leads there."""
    left, top = max(0, box[0] - _MARGIN_PX), max(0, box[1] - _MARGIN_PX)
    part = slice(top, box[1] + box[3] + _MARGIN_PX), slice(left, box[0] + box[2] + _MARGIN_PX)
    shift = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]])
    return picture[part], tissue[part], shift @ matrix


def _mostly(places: Mask, grain: Mask) -> Mask:
    """The connected places of which more than half has grain: the edge of smooth paste is no tissue."""
    _, labels = cv2.connectedComponents(places.view(np.uint8), connectivity=8)
    counts = np.bincount(labels[places], minlength=int(labels.max()) + 1)
    grains = np.bincount(labels[places & grain], minlength=len(counts))
    return np.asarray(places & (2 * grains > counts)[labels])


def _smooth(values: Grey) -> Grey:
    blurred: Grey = cv2.blur(values, (_WINDOW_PX, _WINDOW_PX), borderType=cv2.BORDER_CONSTANT)
    return blurred


def _local_correlation(one: Grey, two: Grey, both: Mask) -> tuple[Grey, Mask]:
    """Correlation within a window about each pixel of both, and where there is anything to correlate."""
    weight = both.astype(np.float32)
    cover = _smooth(weight)
    a, b = _fine(one, weight), _fine(two, weight)
    share = np.maximum(cover, 1e-6)
    mean_a, mean_b = _smooth(a) / share, _smooth(b) / share
    variance_a = _smooth(a * a) / share - mean_a**2
    variance_b = _smooth(b * b) / share - mean_b**2
    covariance = _smooth(a * b) / share - mean_a * mean_b
    floor = np.float32(_LEAST_CONTRAST**2)
    # A flat window beside a structured one differs; two flat windows say nothing.
    local = covariance / np.sqrt(np.maximum(variance_a, floor) * np.maximum(variance_b, floor))
    comparable = both & (cover >= _LEAST_COVER) & (np.maximum(variance_a, variance_b) > floor)
    return local.astype(np.float32), comparable


def _fine(picture: Grey, weight: Grey) -> Grey:
    """The picture without its coarse structure, on tissue; zero elsewhere."""
    coarse = cv2.GaussianBlur(picture * weight, (0, 0), _COARSE_SIGMA)
    share = np.maximum(cv2.GaussianBlur(weight, (0, 0), _COARSE_SIGMA), 1e-3)
    fine: Grey = (picture - coarse / share) * weight
    return fine
