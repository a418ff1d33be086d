"""QuPath's GeoJSON: objects with a polygon in level-0 pixels, as its reader takes them.

QuPath reads `objectType`, `name`, `classification`, `isLocked` and `measurements` from `properties` alone. Its reader
throws at a `classification` without a colour and at null for `name` or `id`; NaN is a string; points snap to 0.01 px.
"""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from tilewise.store import write_text

ObjectType = Literal["annotation", "detection", "tile"]
Ring = Sequence[tuple[float, float]]
Colour = tuple[int, int, int]

# Told apart with red-green blindness, too (Okabe and Ito, 2008); from the ninth class on they come again.
_COLOURS: Final[tuple[Colour, ...]] = (
    (0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167),
    (86, 180, 233), (213, 94, 0), (240, 228, 66), (0, 0, 0),
)  # fmt: skip
# Ids follow from what an object is, so that the same export gives the same bytes.
_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "tilewise/qupath")


@dataclass(frozen=True)
class QuPathObject:
    """One object.

    Attributes:
        key: unlike that of any other object; its id follows from it.
        kind: many objects are tiles or detections, never annotations, which QuPath draws one by one.
        polygons: each an outer ring and its holes, x and y in level-0 pixels; the last point need not repeat the first.
        name: shown in lists; empty for none.
        classification: name and colour; None for none.
        measurements: name -> number.
        locked: whether a click cannot move it.
    """

    key: str
    kind: ObjectType
    polygons: Sequence[Sequence[Ring]]
    name: str = ""
    classification: tuple[str, Colour] | None = None
    measurements: Mapping[str, float] = field(default_factory=dict)
    locked: bool = False

    def to_json(self) -> dict[str, Any]:
        """A GeoJSON feature; what is not known has no key."""
        rings = [[_closed(ring) for ring in polygon] for polygon in self.polygons]
        one = len(rings) == 1
        properties: dict[str, Any] = {"objectType": self.kind, "isLocked": self.locked}
        if self.name:
            properties["name"] = self.name
        if self.classification is not None:
            properties["classification"] = {"name": self.classification[0], "color": list(self.classification[1])}
        if self.measurements:
            properties["measurements"] = {name: _number(value) for name, value in self.measurements.items()}
        return {
            "type": "Feature",
            "id": str(uuid.uuid5(_NAMESPACE, self.key)),
            "geometry": {"type": "Polygon", "coordinates": rings[0]}
            if one
            else {"type": "MultiPolygon", "coordinates": rings},
            "properties": properties,
        }


def class_colours(classes: Sequence[str]) -> dict[str, Colour]:
    """Class -> colour, by its place."""
    return {name: _COLOURS[number % len(_COLOURS)] for number, name in enumerate(classes)}


def rectangle(x: float, y: float, width: float, height: float) -> list[list[tuple[float, float]]]:
    """The polygon of a box."""
    return [[(x, y), (x + width, y), (x + width, y + height), (x, y + height)]]


def write_objects(path: Path, objects: Iterable[QuPathObject]) -> None:
    """Write a feature collection that QuPath opens by drag and drop."""
    collection = {"type": "FeatureCollection", "features": [item.to_json() for item in objects]}
    write_text(path, json.dumps(collection, allow_nan=False, separators=(",", ":")) + "\n")


def _closed(ring: Ring) -> list[list[float]]:
    points = [[round(x, 2), round(y, 2)] for x, y in ring]
    return points if points[0] == points[-1] else [*points, points[0]]


def _number(value: float) -> float | str:
    if math.isnan(value):
        return "NaN"
    return value if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")
