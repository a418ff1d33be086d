"""A mask as polygons along the edges of its pixels: filled again they give the same mask."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt

Point = tuple[int, int]
Polygon = list[list[Point]]

# Right, down, left, up: each the next one's turn to the right, with y downward.
_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))
# From a corner, the pixel that lies to the right of a step.
_INSIDE = ((0, 0), (-1, 0), (-1, -1), (0, -1))


def outline(mask: npt.NDArray[np.bool_]) -> list[Polygon]:
    """Polygons of a mask: for each 4-connected region its outer ring, clockwise on the screen, then its holes.

    No ring crosses or touches itself. Points are corners of pixels, and only those where the ring turns.

    Args:
        mask: bool (H, W).
    """
    _, labels_HW = cv2.connectedComponents(np.ascontiguousarray(mask).view(np.uint8), connectivity=4)
    regions: dict[int, Polygon] = {}
    for x, y, step, ring in _rings(_edges(mask)):
        across, down = _INSIDE[step]
        polygon = regions.setdefault(int(labels_HW[y + down, x + across]), [])
        polygon.insert(0 if _area(ring) > 0 else len(polygon), ring)
    return [regions[label] for label in sorted(regions)]


def _edges(mask: npt.NDArray[np.bool_]) -> dict[Point, list[int]]:
    """Corner -> steps along pixels' edges that begin there, with the region to their right."""
    padded = np.pad(mask, 1).astype(np.int8)
    down, across = np.diff(padded, axis=0)[:, 1:-1], np.diff(padded, axis=1)[1:-1]
    begins = ((down == 1, 0, (0, 0)), (across == -1, 1, (0, 0)), (down == -1, 2, (1, 0)), (across == 1, 3, (0, 1)))
    edges: dict[Point, list[int]] = {}
    for is_edge, step, (right, below) in begins:
        ys, xs = np.nonzero(is_edge)
        for point in zip((xs + right).tolist(), (ys + below).tolist(), strict=True):
            edges.setdefault(point, []).append(step)
    return edges


def _rings(edges: dict[Point, list[int]]) -> Iterator[tuple[int, int, int, list[Point]]]:
    """The first edge of each ring, as x, y and step, and the points where the ring turns."""
    while edges:
        start = next(iter(edges))
        path: list[tuple[Point, int]] = []
        places: dict[Point, int] = {}
        point, step = start, edges[start][0]
        while True:
            if point in places:  # the way came back to itself: what lies between is a ring of its own
                first = places[point]
                ring = path[first:]
                del path[first:]
                for corner, _ in ring:
                    del places[corner]
                (x, y), own = ring[0]
                yield x, y, own, _corners(ring)
            steps = edges.get(point)
            if steps is None:  # the last ring is closed
                break
            # Where two pixels meet at a corner, the way turns right and so stays with its own.
            step = next(turn for turn in ((step + 1) % 4, step, (step - 1) % 4) if turn in steps)
            steps.remove(step)
            if not steps:
                del edges[point]
            places[point] = len(path)
            path.append((point, step))
            point = (point[0] + _STEPS[step][0], point[1] + _STEPS[step][1])


def _corners(ring: list[tuple[Point, int]]) -> list[Point]:
    return [point for (point, step), (_, before) in zip(ring, [ring[-1], *ring[:-1]], strict=True) if step != before]


def _area(ring: list[Point]) -> int:
    """Twice the area; above 0 for a ring that runs clockwise on the screen."""
    return sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in zip(ring, [*ring[1:], ring[0]], strict=True))
