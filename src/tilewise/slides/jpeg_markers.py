"""The segments of a JPEG stream."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tilewise.slides.header import Buffer

FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
SCAN: Final = 0xDA
END: Final = 0xD9
# Inside a scan 0xFF is followed by 0 (stuffing), by a restart marker or by fill bytes; all else is a marker.
MARKER: Final = re.compile(rb"\xff[^\x00\xff\xd0-\xd7\x01]")


@dataclass(frozen=True)
class Segment:
    """One marker segment: what it is, and where its content stands."""

    marker: int
    start: int
    end: int


def segments(data: Buffer) -> Iterator[Segment]:
    """Marker segments from the start to the first scan, that one included.

    Raises:
        ValueError: they are damaged, or end before a scan.
    """
    position, length = 2, len(data)
    while position + 4 <= length:
        lead, marker = data[position : position + 2]
        if lead != 0xFF:
            raise ValueError(f"it is damaged at byte {position}, where a marker should stand")
        if marker in {0xFF, 0x01} or 0xD0 <= marker <= 0xD8:
            position += 1 if marker == 0xFF else 2
            continue
        if marker == END:
            break
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        yield Segment(marker, position + 4, end)
        if marker == SCAN:
            return
        position = end
    raise ValueError("it is broken off before its first scan")
