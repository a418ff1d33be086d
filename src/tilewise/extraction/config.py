"""How features are kept."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class FeaturesConfig(BaseModel):
    """Options of the feature stage. They change where and how vectors are kept, never the vectors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cache: bool = Field(
        True, description="Keep bags in the cache folder and take them from there when nothing changed."
    )
    chunk_tiles: int = Field(
        1024, ge=1, description="Tiles of several slides are handed to the encoder together, about this many at a time."
    )
