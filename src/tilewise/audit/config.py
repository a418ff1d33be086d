"""What the audit looks for and what it proposes."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class AuditConfig(BaseModel):
    """Options of the audit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    copies: Literal["drop", "keep"] = Field(
        "drop",
        description="Exact copies of another slide: drop all but the first (all of them where labels conflict), or "
        "keep them; either way they share a group.",
    )
    max_megapixels: int = Field(400, ge=1, description="Slides larger than this are refused before they are decoded.")
