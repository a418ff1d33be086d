"""What a synthetic cohort looks like."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

# As many classes as there are code words in `latents.CODES`.
MOST_CLASSES = 8


class SynthConfig(BaseModel):
    """A deterministic synthetic cohort: the same config gives the same bytes.

    Defaults follow the published cohort: its four labels, its imbalance, its size of slides.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    num_slides: int = Field(160, ge=2, le=100_000, description="Training slides.")
    num_test_slides: int = Field(0, ge=0, le=100_000, description="Test slides, whose labels stay in `truth/`.")
    seed: int = Field(0, ge=0, description="Seed of the whole cohort.")
    difficulty: float = Field(0.5, ge=0.0, le=1.0, description="0: classes nearly separable; 1: no signal at all.")
    min_side_px: int = Field(1024, ge=256, le=8192, description="Shorter side of every slide, in pixels.")
    signal: Literal["texture", "mask_shape"] = Field(
        "texture",
        description="Where the label shows: in the tissue inside the mask, or in the outline of the mask alone.",
    )
    classes: dict[str, float] = Field(
        default={"Luminal A": 205.0, "Luminal B": 220.0, "HER2(+)": 189.0, "Triple negative": 77.0},
        min_length=2,
        max_length=MOST_CLASSES,
        description="Class names and their relative frequency.",
    )

    @model_validator(mode="after")
    def _check_classes(self) -> Self:
        for name, weight in self.classes.items():
            if not name or name != name.strip():
                raise ValueError(f"class name {name!r} is empty or has blanks around it")
            if not 0 < weight < float("inf"):
                raise ValueError(f"class {name!r} has weight {weight}; give a positive number")
        if self.num_slides < len(self.classes):
            raise ValueError(f"{self.num_slides} slides cannot hold {len(self.classes)} classes; ask for more slides")
        return self
