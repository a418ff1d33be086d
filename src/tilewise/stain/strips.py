"""Apply a pixel map strip by strip, so that the planes in between stay in the processor's cache."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from tilewise.stain.density import Rgb

_STRIP_PX = 1 << 15
# Below this, handing work to threads costs more than they save.
_FEWEST_STRIPS = 8


def map_strips(rgb: Rgb, work: Callable[[Rgb, Rgb], None]) -> Rgb:
    """Run `work(strip, out)` over an array of pixels, whatever its leading axes; returns a new array.

    As many threads work as OpenCV may use (`cv2.setNumThreads`); they do not change the result.

    Args:
        rgb: uint8 (..., 3).
        work: reads a contiguous strip uint8 (1, n, 3) and writes its pixels into the second argument.
    """
    pixels = np.ascontiguousarray(rgb).reshape(1, -1, 3)
    out = np.empty_like(pixels)
    starts = range(0, pixels.shape[1], _STRIP_PX)

    def run(part: range) -> None:
        for start in part:
            work(pixels[:, start : start + _STRIP_PX], out[:, start : start + _STRIP_PX])

    threads = cv2.getNumThreads() if len(starts) >= _FEWEST_STRIPS else 1
    if threads == 1:
        run(starts)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(run, [starts[index::threads] for index in range(threads)]))
    return out.reshape(rgb.shape)
