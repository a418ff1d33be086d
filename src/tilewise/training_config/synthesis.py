"""Whether tiles are composed to learn from, and how many."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class SynthesisConfig(BaseModel):
    """How tiles are made of two train slides of one class; of `training.input: tiles`.

    An option that would have no effect is refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str = Field(
        "none",
        pattern=r"^[a-z][a-z0-9_-]*$",
        max_length=60,
        description="none: only the slides' own tiles are learnt from. texture: the texture inside the mask of one "
        "slide fills the mask of another slide of its class. Another name: a generator that was registered.",
    )
    add: Literal["balance", "share"] = Field(
        "balance",
        description="balance: rare classes are filled up towards the tiles of the commonest one. share: every class "
        "gets more tiles, in proportion to its own.",
    )
    share: float = Field(
        1.0,
        gt=0.0,
        le=10.0,
        description="With balance, tiles that a rare class has in the end as a share of those of the commonest; with "
        "share, composed tiles as a share of the class's own.",
    )
    feather: float = Field(
        0.05,
        ge=0.0,
        le=0.5,
        description="Width of the seam, inside the mask's edge, as a share of the tile's side (method texture).",
    )

    @model_validator(mode="after")
    def _nothing_without_effect(self) -> Self:
        idle = ["feather"] * (self.method != "texture") + ["add", "share"] * (self.method == "none")
        for name in idle:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(
                    f"synthesis.{name} has no effect with synthesis.method={self.method}; drop one of the two"
                )
        if self.add == "balance" and self.share > 1.0:
            raise ValueError(
                "synthesis.share above 1 would make rare classes the commonest; set it to 1 or less, or set "
                "synthesis.add=share"
            )
        return self
