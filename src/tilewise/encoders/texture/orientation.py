"""How far structure runs in one direction: fibres and palisades against sheets of round cells.

The structure tensor of Bigun & Granlund (ICCV 1987), on three scales of haematoxylin and of grey.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.encoders.texture.planes import Plane, Planes, Values

_SCALES: Final = (2, 4, 8)
_SQUARE_PX: Final = 8
# Squared Sobel response of a ramp of one level per pixel: gradients weaker than that count as no direction.
_NOISE: Final = 64.0

NAMES: Final = tuple(
    f"orientation.{plane}.scale_{scale}.{name}"
    for plane in ("hematoxylin", "grey")
    for scale in _SCALES
    for name in ("coherence", "coherence_spread", "overall")
)


def orientation(tiles: Sequence[Planes]) -> Values:
    """Mean and spread of local coherence (0: no direction, 1: one direction), and the coherence of the whole tile."""
    pyramids = [(planes.hematoxylin, planes.grey) for planes in tiles]
    columns = [
        coherences(np.stack([structure_tensor(pair[which][scale]) for pair in pyramids]))
        for which in (0, 1)
        for scale in _SCALES
    ]
    return np.hstack(columns)


def structure_tensor(plane: Plane) -> npt.NDArray[np.float32]:
    """Products xx, yy, xy of the Sobel derivatives, averaged over squares of 8 px; float32 (3, number of squares)."""
    along_x, along_y = cv2.Sobel(plane, cv2.CV_16S, 1, 0), cv2.Sobel(plane, cv2.CV_16S, 0, 1)
    pairs = ((along_x, along_x), (along_y, along_y), (along_x, along_y))
    products = cv2.merge([cv2.multiply(*pair, dtype=cv2.CV_32F) for pair in pairs])
    return _shrink_floats(products).reshape(-1, 3).T


def _shrink_floats(products: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    height, width = products.shape[:2]
    size = (max(1, width // _SQUARE_PX), max(1, height // _SQUARE_PX))
    small: npt.NDArray[np.float32] = cv2.resize(products, size, interpolation=cv2.INTER_AREA)
    return small


def coherences(tensors_NCS: npt.NDArray[np.float32]) -> Values:
    """Mean and standard deviation of the coherence over the squares of a plane, and that of the whole; (N, 3)."""
    tensors = np.ascontiguousarray(tensors_NCS, np.float64)
    local, overall = _coherence(tensors), _coherence(tensors.mean(axis=2, keepdims=True))
    return np.column_stack([local.mean(axis=1), local.std(axis=1), overall[:, 0]])


def _coherence(tensors: Values) -> Values:
    xx, yy, xy = tensors[:, 0], tensors[:, 1], tensors[:, 2]
    difference = xx - yy
    coherence: Values = np.sqrt(difference * difference + 4 * xy * xy) / (xx + yy + _NOISE)
    return coherence
