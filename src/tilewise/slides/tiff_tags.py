"""What the tags of a TIFF page say about its pixels: how large they are, and which sample means full scale."""

from __future__ import annotations

import math
import re
from typing import Any, Final

from tilewise.slides.header import plausible_mpp

_UM_PER_UNIT: Final = {2: 25_400.0, 3: 10_000.0}


def tag(page: Any, name: str) -> Any:
    """The value of a tag; None where the page has none."""
    return page.tags[name].value if name in page.tags else None


def full_scale(page: Any, description: str, bits: int) -> int:
    """The sample that means full scale: 2^n - 1 where n bits are used of more that are stored, else of all stored ones.

    MaxSampleValue and SMaxSampleValue count the picture's own highest sample by some writers, so that only values that
    are full scales themselves are believed; OME-XML states the number of bits.
    """
    stored = (1 << bits) - 1
    if bits <= 8:
        return stored
    for name in ("MaxSampleValue", "SMaxSampleValue"):
        value = tag(page, name)
        values = {int(one) for one in (value if isinstance(value, tuple) else (value,)) if isinstance(one, int | float)}
        if len(values) == 1 and _is_full_scale(stated := values.pop()) and stated < stored:
            return stated
    if match := re.search(r'SignificantBits="(\d{1,2})"', description):
        return min(stored, max(255, (1 << int(match[1])) - 1))
    return stored


def microns_per_pixel(page: Any, description: str) -> float | None:
    """From OME-XML, Aperio's description, or the resolution tags, in this order."""
    if ome := re.search(r'PhysicalSizeX="([0-9.eE+-]+)"', description):
        unit = re.search(r'PhysicalSizeXUnit="([^"]*)"', description)
        other = re.search(r'PhysicalSizeY="([0-9.eE+-]+)"', description)
        if unit is not None and unit[1] not in {"µm", "\u03bcm", "um", "&#181;m", "&#xB5;m"}:
            return None
        return plausible_mpp(_number(ome[1]), _number((other or ome)[1]))
    if aperio := re.search(r"\|\s*MPP\s*=\s*([0-9.]+)", description):
        return plausible_mpp(_number(aperio[1]), _number(aperio[1]))
    um_per_unit = _UM_PER_UNIT.get(int(tag(page, "ResolutionUnit") or 0))
    x, y = _ratio(tag(page, "XResolution")), _ratio(tag(page, "YResolution"))
    if um_per_unit is None or not x or not y:
        return None
    return plausible_mpp(um_per_unit / x, um_per_unit / y)


def _is_full_scale(value: int) -> bool:
    return value >= 255 and value & (value + 1) == 0


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _ratio(value: Any) -> float:
    match value:
        case (int(above), int(below)) if below:
            return above / below
        case int() | float():
            return float(value)
        case _:
            return 0.0
