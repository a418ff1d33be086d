"""What is kept of a slide to know it again: keypoints with their descriptors, and a small picture of its tissue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.auditing.copies.descriptors import NUM_BINS, describe
from tilewise.auditing.copies.keypoints import find_keypoints
from tilewise.tissue import glass_level

# Slides of another size are brought to this longer side, so that a crop changes the scale by its share and no more.
_WORKING_SIDE = 704
_MOST_KEYPOINTS = 256
_MOST_DENSITY = 1.4
# The small picture: large enough to show single nuclei of a core, small enough to keep thousands in memory.
_PICTURE_SIDE = 448
_PICTURE_TISSUE_PX = 40_000
_PICTURE_BYTES = 24_000
# Contrast of cells and fibres, of the grey range 0..1: above 0.02 on nearly all tissue, below 0.003 on smooth paste.
_GRAIN_WINDOW_PX, _LEAST_GRAIN = 9, 0.01
_GRAIN_SIGMA = 2.0


@dataclass(frozen=True)
class Fingerprint:
    """A slide in about 50 kB or less.

    Attributes:
        size: float32 (2,), width and height of the slide in pixels.
        places: float32 (N, 2), x, y of the keypoints in pixels of the slide, best first and spread over the tissue.
        sigmas: float32 (N,), size of the keypoints in pixels of the slide.
        descriptors: uint8 (N, 128), see `descriptors.describe`.
        picture: uint8 (bytes,), JPEG of the green optical density, glass filled with its mean on tissue.
        tissue: uint8 (bytes,), PNG of where the tissue is, of the same size.
        detail: float32 (2,), grain on tissue: steps between neighbouring pixels against steps over two, and how much
            larger they are on the 8-pixel grid of a JPEG file.
        rim: float32 (1,), share of the edge of the valid pixels that tissue touches, where that edge is not the
            picture's; else 0.
    """

    size: npt.NDArray[np.float32]
    places: npt.NDArray[np.float32]
    sigmas: npt.NDArray[np.float32]
    descriptors: npt.NDArray[np.uint8]
    picture: npt.NDArray[np.uint8]
    tissue: npt.NDArray[np.uint8]
    detail: npt.NDArray[np.float32]
    rim: npt.NDArray[np.float32]

    def to_arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """The fields as named arrays, for an npz file."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.generic]]) -> Self:
        """Undo `to_arrays`.

        Raises:
            KeyError: a field is missing.
        """
        return cls(**{field.name: np.asarray(arrays[field.name]) for field in fields(cls)})


def measure_fingerprint(
    rgb: npt.NDArray[np.uint8], tissue: npt.NDArray[np.bool_], valid: npt.NDArray[np.bool_] | None = None
) -> Fingerprint:
    """Take a slide's fingerprint.

    Args:
        rgb: uint8 (H, W, 3), of any size.
        tissue: bool (H, W).
        valid: bool (H, W), which pixels show the slide; None where all do.
    """
    height, width = tissue.shape
    scale = min(2.0, _WORKING_SIDE / max(height, width))
    density = _density(rgb[:, :, 1], scale)
    covered = _cover(tissue, density.shape)
    grey = np.minimum(density, np.float32(_MOST_DENSITY))
    keypoints, levels = find_keypoints(grey, covered > 0.5, most=_MOST_KEYPOINTS)
    stretch = np.array([width / grey.shape[1], height / grey.shape[0]], np.float32)
    picture, where = _picture(grey, covered)
    return Fingerprint(
        size=np.array([width, height], np.float32),
        places=((keypoints.places + 0.5) * stretch - 0.5).astype(np.float32),
        sigmas=(keypoints.sigmas * np.sqrt(stretch.prod())).astype(np.float32),
        descriptors=describe(keypoints, levels).reshape(-1, NUM_BINS),
        picture=picture,
        tissue=where,
        detail=_detail(rgb[:, :, 1], tissue),
        rim=np.array([0.0 if valid is None else _rim(covered > 0.5, _cover(valid, density.shape) > 0.5)], np.float32),
    )


def open_picture(fingerprint: Fingerprint) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """The small picture (h, w), 0..1, and where its tissue is (h, w)."""
    picture = np.asarray(cv2.imdecode(fingerprint.picture, cv2.IMREAD_GRAYSCALE))
    tissue = np.asarray(cv2.imdecode(fingerprint.tissue, cv2.IMREAD_GRAYSCALE))
    return picture.astype(np.float32) / np.float32(255.0), tissue > 0


def to_picture(fingerprint: Fingerprint) -> npt.NDArray[np.float64]:
    """(3, 3): from pixels of the slide to pixels of its small picture; pixel centres on whole numbers."""
    height, width = open_picture(fingerprint)[0].shape
    x, y = width / float(fingerprint.size[0]), height / float(fingerprint.size[1])
    return np.array([[x, 0, 0.5 * x - 0.5], [0, y, 0.5 * y - 0.5], [0, 0, 1]])


def grain_mask(picture: npt.NDArray[np.float32], tissue: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Mark where a picture shows cells and fibres, and is not as smooth as something pasted on.

    Args:
        picture: (h, w), 0..1, a fingerprint's small picture.
        tissue: (h, w); what lies outside it counts for nothing.

    Returns:
        bool (h, w), of meaning on tissue.
    """
    weight = tissue.astype(np.float32)
    share = np.maximum(cv2.blur(weight, (_GRAIN_WINDOW_PX, _GRAIN_WINDOW_PX)), 1e-3)
    nearby = np.maximum(cv2.GaussianBlur(weight, (0, 0), _GRAIN_SIGMA), 1e-3)
    fine = (picture - cv2.GaussianBlur(picture * weight, (0, 0), _GRAIN_SIGMA) / nearby) * weight
    return np.asarray(cv2.blur(fine * fine, (_GRAIN_WINDOW_PX, _GRAIN_WINDOW_PX)) / share > _LEAST_GRAIN**2)


def _density(green: npt.NDArray[np.uint8], scale: float) -> npt.NDArray[np.float32]:
    """Green optical density at the working scale; averaged as light, as a smaller scan would."""
    size = max(1, round(green.shape[1] * scale)), max(1, round(green.shape[0] * scale))
    small = cv2.resize(
        np.ascontiguousarray(green), size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    table = np.log10((glass_level(small) + 1.0) / (np.arange(256) + 1.0)).astype(np.float32)
    density: npt.NDArray[np.float32] = cv2.LUT(small, table)
    return density


def _cover(tissue: npt.NDArray[np.bool_], shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    small = cv2.resize(tissue.view(np.uint8) * np.uint8(255), shape[::-1], interpolation=cv2.INTER_AREA)
    covered: npt.NDArray[np.float32] = small.astype(np.float32) / 255
    return covered


def _rim(covered: npt.NDArray[np.bool_], valid: npt.NDArray[np.bool_]) -> float:
    """Share of the edge of the valid pixels that tissue touches, a few pixels deep."""
    edge = valid & (cv2.erode(valid.view(np.uint8), np.ones((7, 7), np.uint8), borderValue=0) == 0)
    return float(covered[edge].mean()) if edge.any() else 0.0


def _picture(
    grey: npt.NDArray[np.float32], covered: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    area = float(covered.sum())
    scale = min(1.0, _PICTURE_SIDE / max(grey.shape), (_PICTURE_TISSUE_PX / max(area, 1.0)) ** 0.5)
    size = max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale))
    where = cv2.resize(covered, size, interpolation=cv2.INTER_AREA) > 0.5
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA) / _MOST_DENSITY * 255
    # What is not tissue carries nothing but its own outline, and costs bytes.
    small = np.where(where, np.clip(small, 0, 255), small[where].mean() if where.any() else 0).astype(np.uint8)
    written = np.empty(0, np.uint8)
    for quality in (88, 70, 50):
        written = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].ravel()
        if written.size <= _PICTURE_BYTES:
            break
    bits = cv2.imencode(".png", where.view(np.uint8) * np.uint8(255), [cv2.IMWRITE_PNG_BILEVEL, 1])[1].ravel()
    return written, bits


def _detail(green: npt.NDArray[np.uint8], tissue: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Fine grain on tissue, the same for a turned picture: both directions are taken together."""
    steps = np.zeros((2, 9))
    for picture, where in ((green, tissue), (green.T, tissue.T)):
        rows = slice(0, None, max(1, picture.shape[0] // 128))
        here, weight = np.ascontiguousarray(picture[rows]), np.ascontiguousarray(where[rows]).view(np.uint8)
        for lag, share in ((1, slice(0, 8)), (2, slice(8, 9))):
            if here.shape[1] <= 8 + lag:
                continue
            step = cv2.absdiff(here[:, lag:], here[:, :-lag]) * weight[:, lag:]
            sums = cv2.reduce(step, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S)[0]
            counts = cv2.reduce(weight[:, lag:], 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S)[0]
            whole = sums[: len(sums) // 8 * 8].reshape(-1, 8), counts[: len(sums) // 8 * 8].reshape(-1, 8)
            # A cut or a turn moves the grid: the strongest phase leads.
            phases = np.stack([column.sum(axis=0) for column in whole]).astype(float)
            lead = int((phases[0] / np.maximum(phases[1], 1)).argmax())
            phases = np.roll(phases, -lead, axis=1)
            steps[:, share] += phases if lag == 1 else phases.sum(axis=1, keepdims=True)
    means = steps[0] / np.maximum(steps[1], 1.0)
    fine = means[:8].mean() / max(means[8], 1e-6)
    return np.array([fine, means[0] / max(float(np.median(means[1:8])), 1e-6)], np.float32)
