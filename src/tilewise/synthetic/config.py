"""What a synthetic cohort looks like."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

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

    faults: int = Field(
        0,
        ge=0,
        le=1000,
        description="Planted faults of each kind, on slides of their own beside `num_slides` clean ones.",
    )
    source: Literal["drawn", "textures"] = Field(
        "drawn",
        description="What cores are made of: drawn tissue, or real textures, in which labels do not show but by masks.",
    )
    textures: Path | None = Field(None, description="Folder of real slides that `source: textures` reads in place.")

    @model_validator(mode="after")
    def _check_source(self) -> Self:
        if (self.source == "textures") != (self.textures is not None):
            raise ValueError("`textures` names the folder for `source: textures`; give both or neither")
        return self

    @model_serializer(mode="wrap")
    def _without_unused(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Cohorts without faults stay what they were before there were any."""
        dumped: dict[str, Any] = handler(self)
        unused = {"faults": self.faults == 0, "source": self.source == "drawn", "textures": self.textures is None}
        return {name: value for name, value in dumped.items() if not unused.get(name, False)}

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
