"""Apply a pixel map strip by strip, so that the planes in between stay in the processor's cache."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from tilewise.stain.density import Floats, Rgb

# Threads take turns at the interpreter between two calls of OpenCV, so that short strips would keep them waiting.
_STRIP_PX = 1 << 16
# Below this, handing work to threads costs more than they save.
_FEWEST_STRIPS = 8


class Scratch:
    """Planes of one thread that every strip uses again: fresh memory costs more than the arithmetic in it."""

    def __init__(self) -> None:
        self._planes: dict[str, Floats] = {}

    def plane(self, name: str, strip: Rgb) -> Floats:
        """A float32 plane (1, n, 3) for a strip (1, n, 3), filled with anything."""
        return self._get(name, strip.shape[1], (3,))

    def single(self, name: str, strip: Rgb) -> Floats:
        """A float32 plane (1, n) for a strip (1, n, 3), filled with anything."""
        return self._get(name, strip.shape[1], ())

    def _get(self, name: str, num: int, channels: tuple[int, ...]) -> Floats:
        plane = self._planes.get(name)
        if plane is None or plane.shape[1] < num:
            plane = self._planes[name] = np.empty((1, num, *channels), np.float32)
        return plane[:, :num]


StripWork = Callable[[Rgb, Rgb, Scratch], None]


def map_strips(rgb: Rgb, work: StripWork) -> Rgb:
    """Run `work(strip, out, scratch)` over an array of pixels, whatever its leading axes; returns a new array.

    As many threads work as OpenCV may use (`cv2.setNumThreads`); they do not change the result.

    Args:
        rgb: uint8 (..., 3).
        work: reads a contiguous strip uint8 (1, n, 3) and writes its pixels into the second argument.
    """
    pixels = np.ascontiguousarray(rgb).reshape(1, -1, 3)
    out = np.empty_like(pixels)
    starts = range(0, pixels.shape[1], _STRIP_PX)

    def run(part: range) -> None:
        scratch = Scratch()
        for start in part:
            work(pixels[:, start : start + _STRIP_PX], out[:, start : start + _STRIP_PX], scratch)

    threads = cv2.getNumThreads() if len(starts) >= _FEWEST_STRIPS else 1
    if threads == 1:
        run(starts)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(run, [starts[index::threads] for index in range(threads)]))
    return out.reshape(rgb.shape)
