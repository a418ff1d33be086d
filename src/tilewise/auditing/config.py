"""What the audit looks for and what it proposes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from tilewise.plugins import PluginName


class AuditConfig(BaseModel):
    """Options of the audit: what it proposes about each kind of fault. Everything is looked for in any case."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    copies: Literal["drop", "keep"] = Field(
        "drop",
        description="Copies of another slide, exact or changed (turned, mirrored, cropped, compressed, brightened, "
        "with ink): drop all but the best, or keep them; either way they share a group.",
    )
    conflicts: Literal["keep", "drop"] = Field(
        "keep",
        description="Copies that carry different labels: keep the best with its own label, or drop every one of them, "
        "since nobody knows which label is right. Then test slides, too, go by their labels: those left are scored.",
    )
    not_histology: Literal["drop", "keep"] = Field(
        "drop",
        description="Slides whose tissue is no stained tissue but a drawing or a photograph, and single slides of "
        "another stain than the rest.",
    )
    ink: Literal["repair", "drop", "keep"] = Field(
        "repair",
        description="Slides with ink on tissue or in the mask and without a clean twin: take the ink out of picture "
        "and mask, drop the slide, or keep it as it is.",
    )
    inpaint: bool = Field(
        False,
        description="The picture of before and after shows tissue painted in from around the ink. For the eye alone: "
        "the repaired slide shows glass there, so that nothing learns from painted tissue.",
    )
    quality: Literal["drop", "keep"] = Field(
        "drop", description="Slides without tissue, damaged, or hopelessly blurred, dark or bright."
    )
    checks: tuple[Annotated[str, PluginName((), "tilewise.audit_checks")], ...] = Field(
        (), description="Further checks, those of plugins, by name; each finding's kind is the name of its check."
    )
    max_megapixels: int = Field(
        400,
        ge=1,
        description="Slides that have to be decoded at once are refused before that if they are larger than this. "
        "Tiled slides and pyramids are read by regions, whatever their size.",
    )
