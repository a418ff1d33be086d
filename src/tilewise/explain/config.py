"""Which slides are explained, and for which class."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ExplainConfig(BaseModel):
    """Which slides are explained, and for which class."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    slides: tuple[str, ...] = Field((), description="Slides to explain, by name; empty chooses or takes all.")
    class_name: str | None = Field(None, description="Class to draw; null draws the one predicted for each slide.")
    limit: int | None = Field(
        None,
        ge=1,
        description="Explain so many slides at most. Of new slides the first ones, null takes all; of a run's own a "
        "third each predicted wrong, most unsure and right, null takes nine.",
    )
    occluded_tiles: int = Field(
        4,
        ge=0,
        description="Networks on pixels: tiles of each slide, those of most activation, whose parts are covered one by "
        "one as a check of the maps; 0 leaves it out. Heads on features leave out tile by tile, which costs little.",
    )
