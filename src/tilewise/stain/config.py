"""Which normalisation, to which target, and when an estimate is believed."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Method = Literal["macenko", "vahadane", "reinhard"]


class TrustConfig(BaseModel):
    """Bounds beyond which a slide's estimate is not believed, and the slide is left as it is.

    The defaults lie between haematoxylin and eosin of public sets from many laboratories and brown chromogens, single
    dyes, blank fields and drawings.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_pixels: int = Field(
        1000, ge=10, description="Fewest stained pixels to fit to, of the sample of at most 32,768 tissue pixels."
    )
    min_angle: float = Field(
        10.0, ge=0.0, le=90.0, description="Degrees between the two dyes below which unmixing them is ill-conditioned."
    )
    max_angle: float = Field(
        60.0, ge=0.0, le=90.0, description="Degrees between the two dyes beyond which they are not of one H&E section."
    )
    max_from_published: float = Field(
        40.0, ge=0.0, le=180.0, description="Degrees that a dye may lie from haematoxylin or eosin as published."
    )
    max_off_plane: float = Field(
        0.85,
        ge=0.0,
        le=1.0,
        description="Spread of the densities off the dyes' plane over the smaller one in it; near 1 one dye is noise.",
    )


class StainConfig(BaseModel):
    """How stains are brought to one look before tiles are encoded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["none"] | Method = Field(
        "none",
        description="macenko and vahadane replace the two dyes' colours, reinhard moves means and spreads of Lab.",
    )
    target: Literal["standard", "median"] | Path = Field(
        "standard",
        description=(
            "What slides are brought to: `standard`, one H&E profile that comes with tilewise and depends on no slide; "
            "the file of a slide, or of a profile (.json); `median`, that of each fold's train part, which no other "
            "part can touch and which costs a whole extraction of features per fold."
        ),
    )
    per: Literal["slide", "tile"] = Field(
        "slide", description="Fit on a slide's tissue, or on every tile by itself, which takes contrasts between tiles."
    )
    trust: TrustConfig = Field(TrustConfig(), description="When a slide's estimate is not believed.")

    @model_validator(mode="after")
    def _nothing_without_a_method(self) -> StainConfig:
        if self.method == "none" and (self.target != "standard" or self.per != "slide"):
            raise ValueError("`target` and `per` do nothing where `method` is none; choose a method or leave them out")
        return self
