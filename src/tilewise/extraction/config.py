"""How features are kept, and what of a slide is described beside its tiles."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class FeaturesConfig(BaseModel):
    """Options of the feature stage. `cache` and `chunk_tiles` change how vectors are kept, never the vectors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cache: bool = Field(
        True, description="Keep bags in the cache folder and take them from there when nothing changed."
    )
    chunk_tiles: int = Field(
        1024, ge=1, description="Tiles of several slides are handed to the encoder together, about this many at a time."
    )
    context: Literal["none", "outside", "outside_and_difference"] = Field(
        "none",
        description="What stands beside the mean of a slide's tiles where they are cut by its mask, for heads that see "
        "one vector per slide. outside: the mean of tiles of its tissue outside the mask, cut on a grid of the same "
        "size and step. outside_and_difference: and what is left of the mean inside when it is taken off. A slide "
        "without a usable mask, or without tissue outside it, gets the mean of the train part, and a mark.",
    )
    context_shape: bool = Field(
        False,
        description="And the shape of the mask, seven numbers: its share of the slide, its components, the share, "
        "compactness, solidity, extent and elongation of the largest.",
    )

    @property
    def has_context(self) -> bool:
        """Whether anything is described beside the tiles."""
        return self.context != "none" or self.context_shape
