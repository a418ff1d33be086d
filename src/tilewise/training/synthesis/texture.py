"""The texture of one slide in the shape of another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tilewise.training.synthesis.generator import Example, Pixels
from tilewise.training.synthesis.geometry import largest_square, mirrored, soft_edge

_CODE = 1  # raised when the same pair would make other pixels


@dataclass(frozen=True)
class TextureGenerator:
    """Fills the region of one tile with texture of another, and keeps the ground around it.

    The largest square inside the texture's region, turned and mirrored at random, is mirrored on until it covers the
    tile; it shows inside the shape's region, with an edge that fades towards the ground: cut and paste with a blended
    edge (Dwibedi et al. 2017), of the real pixels of both slides.

    Attributes:
        feather: width of the fading edge, as a share of the tile's side.
    """

    feather: float

    @property
    def signature(self) -> Mapping[str, Any]:
        """See `TileGenerator`."""
        return {"method": "texture", "feather": self.feather, "code": _CODE}

    def make(self, texture: Example, shape: Example, rng: np.random.Generator) -> tuple[Pixels, Pixels]:
        """See `TileGenerator`."""
        x, y, side = largest_square(texture.mask_HW > 0)
        square = np.rot90(texture.image_CHW[:, y : y + side, x : x + side], int(rng.integers(4)), axes=(1, 2))
        if rng.random() < 0.5:
            square = square[:, :, ::-1]
        height, width = shape.mask_HW.shape
        start = (int(rng.integers(2 * side)), int(rng.integers(2 * side)))
        filling = mirrored(square, height, width, start)
        shows_HW = soft_edge(shape.mask_HW > 0, self.feather * max(height, width))
        ground = shape.image_CHW.astype(np.float32)
        image = ground + shows_HW * (filling - ground)
        return np.rint(image).astype(np.uint8), shape.mask_HW.copy()
