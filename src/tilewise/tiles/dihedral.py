"""The eight ways to lay down a square: as it is or flipped, times four right angles (the dihedral group).

A way is a number: right angles counter-clockwise, plus 4 where the tile is flipped left to right first. Nothing here
imports torch: a view is made by the tensor's own methods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

NUM_WAYS = 8


def lay(pixels: Tensor, way: int) -> Tensor:
    """Flip and turn pixels (..., H, W) of any type; odd ways swap height and width."""
    flipped = pixels.flip(-1) if way >= 4 else pixels
    return flipped.rot90(way % 4, (-2, -1)) if way % 4 else flipped


def lay_back(pixels: Tensor, way: int) -> Tensor:
    """Undo `lay` by the same way."""
    turned = pixels.rot90(-(way % 4), (-2, -1)) if way % 4 else pixels
    return turned.flip(-1) if way >= 4 else turned
