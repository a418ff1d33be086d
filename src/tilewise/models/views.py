"""The same tile seen several ways: a fixed set of flips and turns, for predictions averaged over them.

Nothing here is random, and nothing imports torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from tilewise.tiles.dihedral import NUM_WAYS, lay

if TYPE_CHECKING:
    from torch import Tensor

# Ways of `tiles.dihedral`.
_WAYS: Final[dict[str, tuple[int, ...]]] = {
    "one": (0,),
    "flips": (0, 4, 6, 2),
    "turns": (0, 1, 2, 3),
    "dihedral": tuple(range(NUM_WAYS)),
}


class ViewsConfig(BaseModel):
    """How many ways a tile is looked at when it is predicted; the probabilities are averaged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["one", "flips", "turns", "dihedral"] = Field(
        "one",
        description="one: as it is; flips: 4, flipped in x, in y, in both; turns: 4, by right angles; dihedral: all 8. "
        "The work grows with their number.",
    )

    @property
    def num_views(self) -> int:
        """Views of each tile."""
        return len(_WAYS[self.kind])


def each_view(
    images_BSCHW: Tensor, masks_BHW: Tensor | None, config: ViewsConfig
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """The views of a batch one after another, the tiles as they are first; images and masks alike.

    Args:
        images_BSCHW: any type, any leading axes.
        masks_BHW: the same tiles' masks, or None.
        config: which views. Right angles swap width and height of tiles that are not square.
    """
    for way in _WAYS[config.kind]:
        yield lay(images_BSCHW, way), None if masks_BHW is None else lay(masks_BHW, way)
