"""Which slides are explained, and for which class."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ExplainConfig(BaseModel):
    """Which slides are explained, and for which class."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    slides: tuple[str, ...] = Field((), description="Slides to explain, by name; empty takes all of the folder.")
    class_name: str | None = Field(None, description="Class to draw; null draws the one predicted for each slide.")
    limit: int | None = Field(None, ge=1, description="Explain so many slides at most, the first ones; null takes all.")
