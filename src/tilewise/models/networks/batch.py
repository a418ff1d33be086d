"""What a network is shown at once."""

from __future__ import annotations

from collections.abc import Callable
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

    def padded(self, num_tiles: int) -> Self:
        """The batch filled up with black tiles, to a call of one shape."""
        missing = num_tiles - len(self)
        return self._each(lambda tensor: torch.cat([tensor, tensor.new_zeros(missing, *tensor.shape[1:])]))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        masks_BHW, wides_BCHW = (None if one is None else change(one) for one in (self.masks_BHW, self.wides_BCHW))
        return type(self)(change(self.images_BSCHW), masks_BHW, wides_BCHW)
