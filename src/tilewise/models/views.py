"""The same tile seen several ways: a fixed set of flips and turns, for predictions averaged over them.

Nothing here is random, and nothing imports torch: a view is made by the tensor's own methods.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from torch import Tensor

# Flipped left to right first, then turned counter-clockwise by so many right angles.
_VIEWS: Final[dict[str, tuple[tuple[bool, int], ...]]] = {
    "one": ((False, 0),),
    "flips": ((False, 0), (True, 0), (True, 2), (False, 2)),
    "turns": ((False, 0), (False, 1), (False, 2), (False, 3)),
    "dihedral": tuple((flipped, turns) for flipped in (False, True) for turns in range(4)),
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
        return len(_VIEWS[self.kind])


def each_view(
    images_BSCHW: Tensor, masks_BHW: Tensor | None, config: ViewsConfig
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """The views of a batch one after another, the tiles as they are first; images and masks alike.

    Args:
        images_BSCHW: any type, any leading axes.
        masks_BHW: the same tiles' masks, or None.
        config: which views. Right angles swap width and height of tiles that are not square.
    """
    for flipped, turns in _VIEWS[config.kind]:
        masks = None if masks_BHW is None else _view(masks_BHW, flipped=flipped, turns=turns)
        yield _view(images_BSCHW, flipped=flipped, turns=turns), masks


def _view(pixels: Tensor, *, flipped: bool, turns: int) -> Tensor:
    first = pixels.flip(-1) if flipped else pixels
    return first.rot90(turns, (-2, -1)) if turns else first
