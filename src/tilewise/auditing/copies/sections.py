"""Neighbouring sections of one block: other cells, but the same gross structure inside the same outline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.auditing.copies.fingerprint import Fingerprint, grain_mask, open_picture, to_picture

Grey = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

_SIDE = 224
# Tissue of a whole section hardly touches the edges of its slide.
_FEWEST_PX, _MOST_RIM = 200, 0.2
_NUM_RADII, _NUM_ANGLES = 16, 96
_POLAR_SIGMA = 2.5
# Gross structure: coarser than a few cells, finer than the way stain runs out over a slide.
_FINEST_SIGMA, _COARSEST_SIGMA = 3.0, 30.0
# The rim is paler on every slide, so two outlines laid onto each other agree in it.
_RIM_PX = 3
_ECC_STEPS = 40
# Correlation of two slides about their centres: most neighbouring sections reach 0.6 to 0.95, of others one in two
# thousand reaches 0.55.
_ALIKE = 0.55
_AREA_RATIO = 1.7
# Real neighbouring sections reach 4 to 7 standard deviations, drawn ones 5 and more, strangers in one outline 2.3.
_LEAST_OVERLAP, _LEAST_CORRELATION, _LEAST_CERTAINTY = 0.8, 0.2, 3.8
_BLOCK, _COLUMNS = 64, 2048
_FEWEST_INDEPENDENT = 12
_SMALL_TURN = 30.0


@dataclass(frozen=True)
class CoarseImage:
    """The gross structure of a slide; small enough to keep of every slide.

    Attributes:
        area: pixels of tissue in the reduced picture.
        middle: x, y of the tissue's centre of gravity in the reduced picture.
        spectrum: complex64 (radii, frequencies) of the density about that centre, without its mean on tissue.
    """

    area: float
    middle: tuple[float, float]
    spectrum: npt.NDArray[np.complex64]


@dataclass(frozen=True)
class ReducedImage:
    """The picture of a slide at two sizes: density with glass and paste as zero, and where the tissue is."""

    picture: Grey
    cover: Mask
    density: Grey
    tissue: Mask


def _reduce(fingerprint: Fingerprint) -> ReducedImage:
    picture, tissue = open_picture(fingerprint)
    tissue &= grain_mask(picture, tissue)
    scale = min(1.0, _SIDE / max(picture.shape))
    size = max(8, round(picture.shape[1] * scale)), max(8, round(picture.shape[0] * scale))
    bare = picture * tissue
    density = cv2.resize(bare, size, interpolation=cv2.INTER_AREA)
    small = cv2.resize(tissue.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.5
    return ReducedImage(bare, tissue, np.asarray(density, dtype=np.float32), np.asarray(small))


def coarse_image(fingerprint: Fingerprint) -> CoarseImage | None:
    """Reduce a slide's picture; None where it has no tissue to speak of, or is a field cut out of larger tissue.

    Fields have no outline to be laid onto each other by, and two of them would fit somehow at some turn.
    """
    image = _reduce(fingerprint)
    density, small = image.density, image.tissue
    if small.sum() < _FEWEST_PX or max(_rim(small).mean(), fingerprint.rim[0]) > _MOST_RIM:
        return None
    y, x = np.nonzero(small)
    middle = float(x.mean()), float(y.mean())
    inner = np.where(small, density - density[small].mean(), 0.0).astype(np.float32)
    inner = cv2.GaussianBlur(inner, (0, 0), _POLAR_SIGMA)
    polar = cv2.warpPolar(
        inner, (_NUM_RADII * 4, _NUM_ANGLES), middle, _SIDE * 0.6, cv2.INTER_LINEAR | cv2.WARP_FILL_OUTLIERS
    )
    # The outer rings hold more tissue.
    weights = np.sqrt(np.arange(_NUM_RADII) + 0.5)[:, None]
    rings = polar.reshape(_NUM_ANGLES, _NUM_RADII, 4).mean(axis=2).T * weights
    rings /= max(float(np.linalg.norm(rings)), 1e-9)
    return CoarseImage(float(small.sum()), middle, np.fft.rfft(rings, axis=1).astype(np.complex64))


def _rim(mask: Mask) -> Mask:
    """The pixels along the four edges."""
    return np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])


def propose_sections(
    slides: Sequence[CoarseImage | None], *, num_first: int | None = None
) -> Iterator[tuple[int, int, float]]:
    """Pairs of slides whose gross structure is alike at some turn about their centres.

    Args:
        slides: gross structure of each; None is never in a pair.
        num_first: only pairs of one of the first `num_first` with one of the others; None: all pairs.

    Yields:
        First and second by index, and the turn in degrees that lays the first onto the second.
    """
    indices = [index for index, image in enumerate(slides) if image is not None]
    images = [image for image in slides if image is not None]
    areas = np.array([image.area for image in images])
    split = len(indices) if num_first is None else int(np.searchsorted(indices, num_first))
    for start in range(0, split, _BLOCK):
        spectra = np.stack([image.spectrum for image in images[start : min(start + _BLOCK, split)]])
        for begin in range(start if num_first is None else split, len(indices), _COLUMNS):
            # One product for each frequency, summed over the radii: the correlation at every turn at once.
            others = np.stack([image.spectrum for image in images[begin : begin + _COLUMNS]])
            cross = np.matmul(spectra.transpose(2, 0, 1), others.conj().transpose(2, 1, 0))
            correlation = np.fft.irfft(cross.transpose(1, 2, 0), _NUM_ANGLES, axis=2)
            best = correlation.argmax(axis=2)
            i, j = np.nonzero(correlation.max(axis=2) >= _ALIKE)
            ratio = areas[i + start] / areas[j + begin]
            fits = (i + start < j + begin) & (ratio > 1 / _AREA_RATIO) & (ratio < _AREA_RATIO)
            for one, two in zip(i[fits].tolist(), j[fits].tolist(), strict=True):
                yield indices[one + start], indices[two + begin], -float(best[one, two]) * 360 / _NUM_ANGLES


@dataclass(frozen=True)
class SectionAgreement:
    """How the gross structure of two slides agrees once one is laid onto the other.

    Attributes:
        overlap: share of the smaller tissue that lies on the other's.
        correlation: of gross structure within the tissue of both.
        certainty: the correlation in standard deviations of what unlike tissue gives.
        turn: degrees that were tried.
        matrix: from pixels of the first slide to pixels of the second, (2, 3) row by row.
    """

    overlap: float
    correlation: float
    certainty: float
    turn: float
    matrix: tuple[float, ...] = ()

    @property
    def is_section(self) -> bool:
        """Sure enough to say so; the worse the outlines fit and the further it was turned, the surer it must be."""
        least_certainty = _LEAST_CERTAINTY + 12.0 * max(0.0, 0.95 - self.overlap)
        if abs((self.turn + 180.0) % 360.0 - 180.0) > _SMALL_TURN:
            least_certainty += 1.0
        return (
            self.overlap >= _LEAST_OVERLAP
            and self.correlation >= _LEAST_CORRELATION
            and self.certainty >= least_certainty
        )


def compare_structure(
    fingerprints: tuple[Fingerprint, Fingerprint], images: tuple[CoarseImage, CoarseImage], *, turn: float
) -> SectionAgreement | None:
    """Lay the first slide onto the second, starting from a turn in degrees about the tissues' centres, and compare.

    The map is affine and maximises the enhanced correlation coefficient (Evangelidis and Psarakis, IEEE TPAMI 30(10),
    2008) of outline and inner structure; what is compared then is the inner structure alone.

    Returns:
        None where nothing fits.
    """
    start = _start(*images, turn=turn)
    moving, target = (_reduce(fingerprint) for fingerprint in fingerprints)
    try:
        _, matrix = cv2.findTransformECC(
            cv2.GaussianBlur(target.density, (0, 0), 1.5),
            cv2.GaussianBlur(moving.density, (0, 0), 1.5),
            start,
            cv2.MOTION_AFFINE,
            (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _ECC_STEPS, 1e-4),
            None,
            5,
        )
    except cv2.error:
        # It says so by an error when the two have drifted apart.
        return None
    if not 0.7 < abs(float(np.linalg.det(matrix[:, :2]))) < 1.4:
        return None
    larger = _enlarge(matrix, moving, target)
    return replace(_compare(moving, target, larger, turn=turn), matrix=_on_slides(larger, *fingerprints))


def _enlarge(matrix: Grey, moving: ReducedImage, target: ReducedImage) -> npt.NDArray[np.float64]:
    """The same map, between the larger pictures."""
    grow = []
    for image in (moving, target):
        x, y = image.picture.shape[1] / image.density.shape[1], image.picture.shape[0] / image.density.shape[0]
        grow.append(np.array([[x, 0, 0.5 * x - 0.5], [0, y, 0.5 * y - 0.5], [0, 0, 1]]))
    return np.asarray((grow[0] @ np.vstack([matrix, [0, 0, 1]]) @ np.linalg.inv(grow[1]))[:2])


def _on_slides(matrix: npt.NDArray[np.float64], one: Fingerprint, two: Fingerprint) -> tuple[float, ...]:
    """From pixels of the first slide to pixels of the second; `matrix` leads the other way, between their pictures."""
    shrink_one, shrink_two = (to_picture(fingerprint) for fingerprint in (one, two))
    whole = np.linalg.inv(shrink_two) @ np.linalg.inv(np.vstack([matrix, [0, 0, 1]])) @ shrink_one
    return tuple(whole[:2].ravel().tolist())


def _compare(
    moving: ReducedImage, target: ReducedImage, matrix: npt.NDArray[np.float64], *, turn: float
) -> SectionAgreement:
    size = target.picture.shape[1], target.picture.shape[0]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    density = cv2.warpAffine(moving.picture, matrix, size, flags=flags)
    tissue = cv2.warpAffine(moving.cover.astype(np.float32), matrix, size, flags=flags) > 0.5
    both = tissue & target.cover
    overlap = float(both.sum()) / max(1.0, float(min(tissue.sum(), target.cover.sum())))
    kernel = np.ones((2 * _RIM_PX + 1, 2 * _RIM_PX + 1), np.uint8)
    inside = cv2.erode(both.astype(np.uint8), kernel, borderValue=1) > 0
    # Values nearer than the blur are one value.
    independent = float(inside.sum()) / (4 * np.pi * _FINEST_SIGMA**2)
    if overlap < _LEAST_OVERLAP or independent < _FEWEST_INDEPENDENT:
        return SectionAgreement(overlap, 0.0, 0.0, turn)
    a, b = (_band(picture, both)[inside] for picture in (density, target.picture))
    correlation = float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else 0.0
    certainty = float(np.arctanh(min(correlation, 0.999)) * np.sqrt(independent - 3))
    return SectionAgreement(overlap, correlation, certainty, turn)


def _start(one: CoarseImage, two: CoarseImage, *, turn: float) -> Grey:
    """float32 (2, 3): from `two` to `one`, as OpenCV wants it."""
    angle = np.deg2rad(turn)
    forward = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    back = forward.T
    shift = np.array(one.middle) - back @ np.array(two.middle)
    return np.ascontiguousarray(np.concatenate([back, shift[:, None]], axis=1), dtype=np.float32)


def _band(picture: Grey, tissue: Mask) -> Grey:
    weight = tissue.astype(np.float32)
    smooth = [blur(picture * weight) / np.maximum(blur(weight), 1e-3) for blur in (_slightly, _widely)]
    return np.asarray(smooth[0] - smooth[1], dtype=np.float32)


def _slightly(values: Grey) -> Grey:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), _FINEST_SIGMA))


def _widely(values: Grey) -> Grey:
    """Two box filters: as good as a Gaussian this wide, and as cheap at any width."""
    side = 2 * round(_COARSEST_SIGMA * 6**0.5 / 2) + 1
    once = cv2.blur(values, (side, side), borderType=cv2.BORDER_CONSTANT)
    return np.asarray(cv2.blur(once, (side, side), borderType=cv2.BORDER_CONSTANT))
