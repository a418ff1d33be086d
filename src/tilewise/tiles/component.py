"""Tiles by the connected components of the mask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.tiles.window import Boxes, Frame, Mask, Ratios, covered_by, covered_table
from tilewise.units import Box, Size

_MOST_POINTS = 4000
_MOST_ROUNDS = 25

Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Component:
    """One connected component: its bounding box, its own pixels in it as bool (height, width), and its centroid."""

    box: Box
    own: Mask
    centroid: tuple[float, float]
    area: int


def components(mask: Mask, *, min_px: int) -> Iterator[Component]:
    """Components of at least `min_px` pixels, connected over edges and corners; in scan order."""
    plane = np.ascontiguousarray(mask).view(np.uint8)
    # Labels are four times as large as the mask, so only its bounding box gets them.
    left, top, across, down = cv2.boundingRect(plane)
    if not across:
        return
    num, labels, stats, centroids = cv2.connectedComponentsWithStats(
        plane[top : top + down, left : left + across], connectivity=8
    )
    for component in range(1, num):
        x, y, width, height, area = (int(value) for value in stats[component])
        if area >= min_px:
            own = labels[y : y + height, x : x + width] == component
            centroid = (centroids[component][0] + left, centroids[component][1] + top)
            yield Component(Box(x + left, y + top, width, height), own, centroid, area)


def component_center_tiles(
    mask: Mask,
    size_l0: int,
    *,
    min_component_px: int,
    min_ratio: float,
    most_centers: int = 1,
    frame: Frame | None = None,
) -> tuple[Boxes, Ratios]:
    """Cut one tile centred on each connected component of the mask, or several on a large one.

    The centre is the centroid, or the component's own pixel nearest to it where a curved component does not contain
    its centroid. A component of more pixels than a tile is parted by k-means from deterministic, far apart seeds.
    Tiles that would leave the slide are moved inside.

    Args:
        mask: bool (H, W).
        size_l0: side of a tile, in level-0 pixels.
        min_component_px: components of fewer pixels are passed over.
        min_ratio: smallest share of a tile that the mask covers.
        most_centers: parts of a component at most.
        frame: how the mask lies on the slide; None where it is as large.

    Returns:
        Boxes, int64 (N, 4) as x, y, width, height, ordered by y, then x, no two equal; and the share of each that the
        mask covers.
    """
    frame = frame or Frame.of_mask(mask)
    factor = frame.factor
    corners = set()
    for component in components(mask, min_px=reduced_px(min_component_px, frame)):
        parts = min(most_centers, -(-component.area * factor**2 // (size_l0 * size_l0)))
        for x, y in _centers(component, parts):
            center = ((x + 0.5) * factor, (y + 0.5) * factor)
            box = Box.around(*center, Size(size_l0, size_l0)).shift_inside(frame.size)
            corners.add((box.y, box.x, box.width, box.height))
    boxes = np.array([[x, y, w, h] for y, x, w, h in sorted(corners)], dtype=np.int64).reshape(-1, 4)
    ratios = covered_by(covered_table(mask), boxes, frame)
    covered = ratios >= min_ratio
    return boxes[covered], ratios[covered]


def component_box_tiles(
    mask: Mask, *, min_component_px: int, smallest: int, by: str, frame: Frame | None = None
) -> tuple[Boxes, Ratios]:
    """The bounding box of each connected component of the mask.

    Args:
        mask: bool (H, W).
        min_component_px: components of fewer pixels are passed over.
        smallest: boxes below this are passed over.
        by: `side`: `smallest` is meant for the longer side; `area`: for the area of the box.
        frame: how the mask lies on the slide; None where it is as large.

    Returns:
        As `component_center_tiles`. The share is of the whole mask in the box, whatever component it belongs to.
    """
    frame = frame or Frame.of_mask(mask)
    least = reduced_px(min_component_px, frame)
    boxes = {frame.scaled(component.box) for component in components(mask, min_px=least)}
    large = [box for box in boxes if (box.area if by == "area" else max(box.width, box.height)) >= smallest]
    large.sort(key=lambda box: (box.y, box.x, box.width, box.height))
    array = np.array([[box.x, box.y, box.width, box.height] for box in large], dtype=np.int64).reshape(-1, 4)
    return array, covered_by(covered_table(mask), array, frame)


def largest_component_box(
    mask: Mask, *, min_component_px: int, by: str, frame: Frame | None = None
) -> tuple[Boxes, Ratios]:
    """The largest of the boxes of `component_box_tiles`, whatever its size; none where the mask has no component.

    Args:
        mask: bool (H, W).
        min_component_px: components of fewer pixels are passed over.
        by: `side`: the one with the longest side; `area`: the one of the largest area.
        frame: how the mask lies on the slide; None where it is as large.
    """
    boxes, ratios = component_box_tiles(mask, min_component_px=min_component_px, smallest=0, by=by, frame=frame)
    if not len(boxes):
        return boxes, ratios
    sides, areas = boxes[:, 2:].max(axis=1), boxes[:, 2:].prod(axis=1)
    first, second = (areas, sides) if by == "area" else (sides, areas)
    largest = np.lexsort((second, first))[-1:]
    return boxes[largest], ratios[largest]


def reduced_px(area_l0: int, frame: Frame) -> int:
    """Pixels of a mask that make up this area in level-0 pixels, at least 1."""
    return max(1, -(-area_l0 // frame.factor**2))


def _centers(component: Component, parts: int) -> Iterator[tuple[float, float]]:
    x, y = component.box.x, component.box.y
    if parts <= 1:
        center = _inside(component.own, component.centroid[0] - x, component.centroid[1] - y)
        yield x + center[0], y + center[1]
        return
    for own_x, own_y in _parted(component.own, parts).tolist():
        center = _inside(component.own, own_x, own_y)
        yield x + center[0], y + center[1]


def _parted(own: Mask, parts: int) -> Points:
    """Centres of a component's parts, float64 (parts, 2) as x, y; Lloyd's algorithm on thinned pixels."""
    rows, columns = np.nonzero(own)
    step = max(1, len(rows) // _MOST_POINTS)
    points = np.column_stack([columns[::step], rows[::step]]).astype(np.float64)
    # Seeds far apart (Gonzalez 1985), from the pixel farthest from the middle: the same for the same component.
    distance = ((points - points.mean(axis=0)) ** 2).sum(axis=1)
    seeds = [int(distance.argmax())]
    distance = np.full(len(points), np.inf)
    while len(seeds) < parts:
        distance = np.minimum(distance, ((points - points[seeds[-1]]) ** 2).sum(axis=1))
        seeds.append(int(distance.argmax()))
    centers = points[seeds]
    for _ in range(_MOST_ROUNDS):
        nearest = ((points[:, None] - centers[None]) ** 2).sum(axis=2).argmin(axis=1)
        counts = np.bincount(nearest, minlength=parts)[:, None]
        sums = np.column_stack([np.bincount(nearest, points[:, axis], minlength=parts) for axis in (0, 1)])
        moved = np.where(counts > 0, sums / np.maximum(counts, 1), centers)
        if np.allclose(moved, centers, atol=0.25):
            break
        centers = moved
    return centers


def _inside(own: Mask, x: float, y: float) -> tuple[float, float]:
    if own[int(y), int(x)]:  # rounded as the box is
        return x, y
    rows, columns = np.nonzero(own)
    nearest = int(np.argmin((columns - x) ** 2 + (rows - y) ** 2))
    return float(columns[nearest]), float(rows[nearest])
