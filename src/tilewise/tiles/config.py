"""How tiles are cut."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class TileConfig(BaseModel):
    """Options of the tile stage; sizes are level-0 pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategy: Literal["window", "component_center"] = Field(
        "window",
        description="window: a sliding window over the slide, kept where the mask covers enough of it; "
        "component_center: one tile centred on each connected component of the mask.",
    )
    size_px: int = Field(128, ge=16, le=8192, description="Side of a tile.")
    stride_px: int | None = Field(
        None, ge=4, le=8192, description="Step of the window; null takes size_px, so that tiles do not overlap."
    )
    min_mask_ratio: float = Field(
        0.25, ge=0.0, le=1.0, description="Share of a tile that the mask has to cover. 0 keeps every tile it touches."
    )
    min_component_px: int = Field(
        64, ge=1, description="component_center: components of fewer pixels than this are passed over."
    )
    max_tiles: int | None = Field(
        None, ge=1, description="At most this many tiles per slide, spread evenly over it; null keeps all."
    )
    fallback: Literal["tissue", "slide", "exclude"] = Field(
        "tissue",
        description="What becomes of a slide whose mask is missing, empty or yields no tile. tissue: tissue found by "
        "optical density stands in for the mask, and the whole slide where that yields no tile either; slide: the "
        "whole slide does; exclude: the slide is left out and named.",
    )
