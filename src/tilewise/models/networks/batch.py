"""What a network is shown at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class TileBatch:
    """B tiles with what belongs to them; pixels are 0..255, uint8 or floating point, of any size.

    Attributes:
        images_BSCHW: RGB; S fields of view of each tile, 1 except for multi-scale input.
        masks_BHW: 255 inside the region, over the same field as the first of the tile.
        wides_BCHW: RGB; the whole slide of each tile.
    """

    images_BSCHW: Tensor
    masks_BHW: Tensor | None = None
    wides_BCHW: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images_BSCHW)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Self:
        """The batch on a device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def rows(self, index: slice | Tensor) -> Self:
        """Some of the tiles, in the order of the index."""
        return self._each(lambda tensor: tensor[index])

    def calls(self, most: int) -> Iterator[tuple[slice, Self]]:
        """The batch in calls of a network, each filled up to a power of two: positions of its tiles, and the call.

        The sizes follow from the number of tiles alone, so that the tiles of a slide give the same bytes whatever else
        is predicted. One tile is a call of one tile: slides that are one tile cost no more than they need.

        Args:
            most: tiles of a call, a power of two.
        """
        for start in range(0, len(self), most):
            index = slice(start, min(start + most, len(self)))
            part = self.rows(index)
            yield index, part.padded(1 << (len(part) - 1).bit_length())

    def padded(self, num_tiles: int) -> Self:
        """The batch filled up with black tiles, to a call of one shape."""
        missing = num_tiles - len(self)
        if not missing:
            return self
        return self._each(lambda tensor: torch.cat([tensor, tensor.new_zeros(missing, *tensor.shape[1:])]))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        masks_BHW, wides_BCHW = (None if one is None else change(one) for one in (self.masks_BHW, self.wides_BCHW))
        return type(self)(change(self.images_BSCHW), masks_BHW, wides_BCHW)
