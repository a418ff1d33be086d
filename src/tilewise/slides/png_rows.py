"""Undo PNG's row filters where that takes no look at every byte.

Rows filtered as None, Sub and Up are plain sums, which imagecodecs and NumPy make several times faster than a PNG
library goes from byte to byte; OpenCV writes nothing else. Paeth rows of a mask change in a few places only, and
nothing happens between them. All other rows stay with the library.

It is worth its lines: a slide of 1500 x 1024 px and its mask, written by OpenCV, take 11 ms of a processor instead of
19, and the whole of cutting that slide's tiles takes 17. Of slides that Pillow wrote only the masks gain.
"""

from __future__ import annotations

from typing import Final

import imagecodecs
import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

_NONE, _SUB, _UP, _PAETH = 0, 1, 2, 4
# Where filters change with nearly every row, or Paeth rows in many places, the library is as fast.
_MOST_RUNS_PER_ROW: Final = 0.75
_MOST_CHANGES_PER_BYTE: Final = 1 / 64


def unfilter(rows: Bytes, *, num_channels: int) -> Bytes | None:
    """Samples of 8 bits from rows as they are stored; None where the library has to do it.

    The filters are those of the PNG specification (W3C, third edition), section 9.2.

    Args:
        rows: uint8 (H, 1 + W * C): each row's filter, then its bytes.
        num_channels: samples per pixel, C.

    Returns:
        A new uint8 (H, W, C).
    """
    filters = rows[:, 0]
    known = (filters <= _UP) | (filters == _PAETH) if num_channels == 1 else filters <= _UP
    starts = [0, *(np.flatnonzero(filters[1:] != filters[:-1]) + 1).tolist()]
    if not known.all() or len(starts) > 1 + _MOST_RUNS_PER_ROW * len(rows):
        return None
    stored = rows[:, 1:].reshape(len(rows), -1, num_channels)
    samples = np.empty(stored.shape, dtype=np.uint8)
    nothing = np.zeros(stored.shape[1:], dtype=np.uint8)
    for start, stop, kind in zip(starts, [*starts[1:], len(rows)], filters[starts].tolist(), strict=True):
        if kind == _NONE:
            samples[start:stop] = stored[start:stop]
        elif kind == _SUB:
            imagecodecs.delta_decode(stored[start:stop], axis=1, out=samples[start:stop])
        elif kind == _UP:
            for row in range(start, stop):
                np.add(stored[row], samples[row - 1] if row else nothing, out=samples[row])
        else:
            for row in range(start, stop):
                if not _paeth(stored[row, :, 0], samples[row - 1, :, 0] if row else nothing[:, 0], samples[row, :, 0]):
                    return None
    return samples


def _paeth(stored: Bytes, above: Bytes, samples: Bytes) -> bool:
    """Undo one row; False where too much happens in it.

    With the bytes above and above left equal, the predictor is the byte to the left. So bytes repeat until something
    is stored, or the row above changes.
    """
    happens = stored != 0
    happens[1:] |= above[1:] != above[:-1]
    happens[0] = True
    places = np.flatnonzero(happens)
    if len(places) > 2 + _MOST_CHANGES_PER_BYTE * len(stored):
        return False
    corners = above[places - 1].tolist()
    corners[0] = left = 0
    ends = [*places[1:].tolist(), len(stored)]
    for place, end, added, up, corner in zip(
        places.tolist(), ends, stored[places].tolist(), above[places].tolist(), corners, strict=True
    ):
        guess = left + up - corner
        from_left, from_up, from_corner = abs(guess - left), abs(guess - up), abs(guess - corner)
        if from_left <= from_up and from_left <= from_corner:
            nearest = left
        else:
            nearest = up if from_up <= from_corner else corner
        left = (added + nearest) & 255
        samples[place:end] = left
    return True
