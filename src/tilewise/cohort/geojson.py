"""Regions drawn as polygons: GeoJSON as QuPath exports it, in level-0 pixels."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tilewise.errors import MaskError
from tilewise.slides import overview_factor, overview_size
from tilewise.units import Size

SUFFIX: Final = ".geojson"

Mask = npt.NDArray[np.bool_]
Ring = npt.NDArray[np.float64]
Polygon = list[Ring]
_OBJECTS: Final = frozenset({"annotation", ""})


def read_outlines(path: Path, size: Size) -> tuple[Mask, tuple[str, ...]]:
    """Fill the annotations of a GeoJSON file.

    Every Polygon and MultiPolygon counts, alone or in a GeometryCollection, holes left out, but those of QuPath's tiles
    and detections, of classes that it ignores (their names end in `*`), and one around the whole slide where there are
    others.

    Args:
        path: of the file: a FeatureCollection, a list of features, one feature or one geometry.
        size: of the slide, level 0.

    Returns:
        bool (H, W) in the size of the slide's overview: the pixels whose middle lies inside; and what was left out.

    Raises:
        MaskError: it is no such file, or a coordinate is no number.
    """
    try:
        features = list(_features(json.loads(path.read_text(encoding="utf-8-sig"))))
        regions, left_out = _regions(features)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise MaskError(
            f"{path}: it is no GeoJSON with polygons as QuPath has it ({type(error).__name__}: {error}); export the "
            "annotations again as a FeatureCollection"
        ) from error
    whole = [polygons for polygons in regions if _is_whole(polygons, size)]
    if len(whole) < len(regions):
        regions = [polygons for polygons in regions if not _is_whole(polygons, size)]
        left_out["an annotation of the whole slide"] += len(whole)
    width, height = overview_size(size)
    mask = np.zeros((height, width), dtype=bool)
    factor = overview_factor(size)
    for polygons in regions:
        for polygon in polygons:
            fill(mask, [ring / factor for ring in polygon])
    notes = [f"{num} of {kind} not taken for the mask" for kind, num in left_out.items() if num]
    return mask, tuple(notes)


def fill(mask: Mask, rings: Sequence[Ring]) -> None:
    """Mark the pixels of a mask whose middle lies inside a polygon.

    Args:
        mask: bool (H, W), written to.
        rings: float64 (N, 2) of x and y in the mask's pixels: the outer ring and its holes, by the even-odd rule.
    """
    points = np.concatenate(rings)
    height, width = mask.shape
    left, top = (max(0, int(np.floor(low))) for low in points.min(axis=0))
    right, bottom = (
        min(int(np.ceil(high)), most) for high, most in zip(points.max(axis=0), (width, height), strict=True)
    )
    if right <= left or bottom <= top:
        return
    # A crossing of a row's middle line turns inside to outside for every pixel to its right.
    parity = np.zeros((bottom - top, right - left + 1), dtype=bool)
    for ring in rings:
        rows, columns = _crossings(ring - (left, top), bottom - top)
        # Cut off before they are whole numbers, which hold no coordinate as large as a float may be.
        np.logical_xor.at(parity, (rows, columns.clip(0, right - left).astype(np.int64)), True)
    mask[top:bottom, left:right] |= np.logical_xor.accumulate(parity, axis=1)[:, :-1]


def _crossings(ring: Ring, num_rows: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Row of each crossing, and the first pixel whose middle lies to its right or on it."""
    one, other = ring, np.roll(ring, -1, axis=0)
    falls = one[:, 1] > other[:, 1]
    upper, lower = np.where(falls[:, None], other, one), np.where(falls[:, None], one, other)
    # Middles y + 0.5 with upper <= y + 0.5 < lower.
    first = np.ceil(upper[:, 1] - 0.5).clip(0, num_rows).astype(np.int64)
    last = np.ceil(lower[:, 1] - 0.5).clip(0, num_rows).astype(np.int64)
    num = last - first
    edges = np.repeat(np.arange(len(ring)), num)
    rows = np.arange(num.sum()) - np.repeat(np.cumsum(num) - num, num) + first[edges]
    # Halves, as the difference of two floats may be larger than any float.
    upper, lower = upper[edges] / 2, lower[edges] / 2
    along = ((rows + 0.5) / 2 - upper[:, 1]) / (lower[:, 1] - upper[:, 1])
    xs = upper[:, 0] + along * (lower[:, 0] - upper[:, 0])
    return rows, np.ceil(xs * 2 - 0.5)


def _features(data: Any) -> Iterator[dict[str, Any]]:
    if isinstance(data, list):
        for one in data:
            yield from _features(one)
    elif data["type"] == "FeatureCollection":
        yield from _features(data["features"])
    else:
        yield data if data["type"] == "Feature" else {"geometry": data}


def _regions(features: Sequence[dict[str, Any]]) -> tuple[list[list[Polygon]], Counter[str]]:
    regions, left_out = [], Counter[str]()
    for feature in features:
        properties = feature.get("properties") or {}
        kind = str(properties.get("objectType") or "")
        classified = properties.get("classification") or ""
        name = classified if isinstance(classified, str) else str(classified.get("name") or "")
        if kind not in _OBJECTS:
            left_out[f"QuPath's objects of the kind `{kind}`"] += 1
        elif name.endswith("*"):
            left_out[f"the annotations of the ignored class `{name}`"] += 1
        elif polygons := list(_polygons(feature["geometry"], left_out)):
            regions.append(polygons)
    return regions, left_out


def _polygons(geometry: dict[str, Any] | None, left_out: Counter[str]) -> Iterator[Polygon]:
    """Those of a geometry; what is none is counted."""
    if geometry is None:
        left_out["the features without a geometry"] += 1
    elif geometry["type"] == "GeometryCollection":
        for one in geometry["geometries"]:
            yield from _polygons(one, left_out)
    elif geometry["type"] not in {"Polygon", "MultiPolygon"}:
        left_out[f"the geometries of the kind `{geometry['type']}`"] += 1
    else:
        coordinates = geometry["coordinates"]
        for rings in [coordinates] if geometry["type"] == "Polygon" else coordinates or [[]]:
            if any(rings):
                yield [_ring(ring) for ring in rings]
            else:
                left_out["the polygons without a point"] += 1


def _ring(points: Any) -> Ring:
    ring = np.array([point[:2] for point in points], dtype=np.float64)
    if len(ring) < 3 or ring.shape[1:] != (2,) or not np.isfinite(ring).all():
        raise ValueError("a ring has fewer than three points of x and y, or a coordinate that is no number")
    return ring


def _is_whole(polygons: list[Polygon], size: Size) -> bool:
    """Whether an annotation is the rectangle around the slide."""
    if len(polygons) != 1 or len(polygons[0]) != 1:
        return False
    corners = {(float(x), float(y)) for x, y in polygons[0][0]}
    return corners == {(float(x), float(y)) for x in (0, size.width) for y in (0, size.height)}
