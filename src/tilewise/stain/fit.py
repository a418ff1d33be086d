"""From pixels of tissue to a stain profile."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.slides import SlideReader
from tilewise.stain.config import Method
from tilewise.stain.density import DEFAULT_GLASS, Rgb, Triple, densities, measure_glass, sample_tissue
from tilewise.stain.dye_vectors import macenko_vectors, stained, vahadane_vectors
from tilewise.stain.lab import to_lab
from tilewise.stain.profile import StainProfile
from tilewise.tissue import tissue_within
from tilewise.units import Box, Size
from tilewise.valid import valid_field

# A plane has two directions; with fewer pixels no spread can be told from noise at all.
_FEWEST = 10
# Less spread of density than this is no second dye; two flat colours have none.
_FLAT = 0.01
_WHOLE_AREA = 1 << 24
_THUMBNAIL, _FIELD_PX, _NUM_FIELDS = 1024, 1024, 16
_NONE: Triple = (0.0, 0.0, 0.0)
# Pixels of a sample lie further apart than those of a picture reduced to this side.
_TISSUE_SIDE = 320


def fit_profile(rgb: Rgb, tissue: npt.NDArray[np.bool_], method: Method) -> StainProfile:
    """Fit a profile to the tissue of a picture.

    Dyes' colours come from tissue pixels with a density of at least 0.15 in every channel; the 99th percentiles of the
    amounts and the Lab statistics from all tissue pixels; the level of glass from what is not tissue. An even lattice
    of at most about 32,768 tissue pixels is looked at.

    Args:
        rgb: uint8 (H, W, 3).
        tissue: bool (H, W), in the frame of `rgb`.
        method: `reinhard` fits Macenko's dyes beside its own statistics; see `untrusted_reason`.
    """
    glass = measure_glass(rgb, tissue) or DEFAULT_GLASS
    return _fit_pixels(sample_tissue(rgb, tissue), glass, method)


def fit_picture(rgb: Rgb, method: Method) -> StainProfile:
    """Find the tissue of a picture, on a smaller one where it is large, and fit a profile to it; uint8 (H, W, 3)."""
    inner = valid_field(rgb).picture(rgb)
    return fit_profile(inner, find_tissue(inner), method)


def find_tissue(rgb: Rgb) -> npt.NDArray[np.bool_]:
    """Tissue as `tissue_within` finds it on the picture reduced by a whole number, several times faster; (H, W)."""
    height, width = rgb.shape[:2]
    factor = -(-max(height, width) // _TISSUE_SIDE)
    small = (width // factor, height // factor)
    if factor == 1 or not all(small):
        return tissue_within(rgb)
    # `tissue_within` looks at green alone, and OpenCV averages whole blocks three times faster than parts of them.
    green = cv2.extractChannel(rgb, 1)[: small[1] * factor, : small[0] * factor]
    reduced = cv2.resize(green, small, interpolation=cv2.INTER_AREA)
    tissue = tissue_within(np.broadcast_to(reduced[:, :, None], (*reduced.shape, 3)))
    enlarged = cv2.resize(tissue.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(enlarged.view(np.bool_))


def fit_slide(reader: SlideReader, method: Method) -> StainProfile:
    """Fit a profile to a slide, whatever its size; reads at most 16 Mpx of it.

    Larger slides are looked at in 16 fields of 1024 px with much tissue, spread evenly over it.

    Raises:
        SlideUnreadable: the slide's pixels are damaged.
    """
    size = reader.size
    if size.area <= _WHOLE_AREA:
        return fit_picture(reader.read_whole(), method)
    small = reader.thumbnail(_THUMBNAIL)
    field = valid_field(small)
    inner = field.picture(small)
    inner_tissue = tissue_within(inner)
    tissue = field.paste(inner_tissue, small.shape[:2])
    pixels = [_tissue_of(reader.read_region(box), part) for box, part in _fields(tissue, size)]
    sample = np.concatenate(pixels) if pixels else np.empty((0, 3), np.uint8)
    return _fit_pixels(sample, measure_glass(inner, inner_tissue) or DEFAULT_GLASS, method)


def _fit_pixels(pixels: Rgb, glass: Triple, method: Method) -> StainProfile:
    kind: Literal["macenko", "vahadane"] = "vahadane" if method == "vahadane" else "macenko"
    density_ND = densities(pixels, glass)
    dense = stained(density_ND)
    if len(dense) < _FEWEST:
        return StainProfile(kind, (_NONE, _NONE), (0.0, 0.0), _NONE, _NONE, glass, len(dense), 0.0)
    vectors, spreads = macenko_vectors(dense)
    if kind == "vahadane":
        vectors = vahadane_vectors(dense, vectors)
    amounts = np.linalg.pinv(vectors).T @ density_ND.T
    lab_mean, lab_std = cv2.meanStdDev(to_lab(pixels)[None])
    haematoxylin, eosin = (_rounded(row) for row in vectors)
    first, second = (round(float(np.percentile(values, 99)), 6) for values in amounts)
    return StainProfile(
        method=kind,
        stain_matrix=(haematoxylin, eosin),
        concentrations=(first, second),
        lab_mean=_rounded(lab_mean.ravel()),
        lab_std=_rounded(lab_std.ravel()),
        glass=glass,
        num_pixels=len(dense),
        off_plane=round(float(spreads[2] / spreads[1]), 6) if spreads[1] > _FLAT else 1.0,
    )


def _fields(tissue: npt.NDArray[np.bool_], size: Size) -> list[tuple[Box, npt.NDArray[np.bool_]]]:
    """Boxes on level 0 with the thumbnail's tissue in them."""
    scale_x, scale_y = tissue.shape[1] / size.width, tissue.shape[0] / size.height
    fields = []
    for y in range(0, size.height, _FIELD_PX):
        for x in range(0, size.width, _FIELD_PX):
            box = Box(x, y, min(_FIELD_PX, size.width - x), min(_FIELD_PX, size.height - y))
            rows = slice(int(y * scale_y), max(int(y * scale_y) + 1, int((y + box.height) * scale_y)))
            columns = slice(int(x * scale_x), max(int(x * scale_x) + 1, int((x + box.width) * scale_x)))
            part = tissue[rows, columns]
            if part.any():
                fields.append((box, part))
    # The fullest half, then evenly along the slide: neither only edges nor only one corner.
    fullest = sorted(fields, key=lambda item: (-item[1].mean(), item[0].y, item[0].x))
    fields = sorted(fullest[: max(_NUM_FIELDS, len(fields) // 2)], key=lambda item: (item[0].y, item[0].x))
    if len(fields) <= _NUM_FIELDS:
        return fields
    return [fields[round(k * (len(fields) - 1) / (_NUM_FIELDS - 1))] for k in range(_NUM_FIELDS)]


def _tissue_of(rgb: Rgb, part: npt.NDArray[np.bool_]) -> Rgb:
    enlarged = cv2.resize(part.astype(np.uint8), rgb.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    pixels = sample_tissue(rgb, enlarged.astype(bool))
    chosen: Rgb = pixels[:: max(1, _NUM_FIELDS // 4)]
    return chosen


def _rounded(values: npt.NDArray[np.floating]) -> Triple:
    # Linear algebra differs in the last digits from machine to machine; digests should not.
    first, second, third = (round(float(value), 6) for value in values)
    return first, second, third
