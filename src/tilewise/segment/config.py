"""How region masks are made."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Method = Literal["none", "tissue", "unet", "sam"]


class UNetConfig(BaseModel):
    """A U-Net that learns from the cohort's own masks, or one that has learnt already."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    networks: Path | None = Field(
        None, description="folder of networks trained before (`segmenter/` of an earlier run); None trains new ones"
    )
    encoder: str = Field("resnet18", description="a convolutional network that `tilewise encoders` lists")
    init: Literal["random", "pretrained"] = Field(
        "random", description="the encoder starts from random weights, or from those of the catalogue"
    )
    weights: Path | None = Field(
        None, description="local file with the encoder's weights; None looks in the weights folder and the hub"
    )
    depth: int = Field(4, ge=3, le=5, description="times the encoder halves the picture")
    width: int = Field(16, ge=4, le=64, description="channels of the decoder's finest stage; coarser ones have more")
    input_px: int = Field(
        128, ge=64, le=2048, multiple_of=32, description="the slide's long side is scaled to this many pixels"
    )
    num_folds: int = Field(4, ge=2, le=20, description="networks; each slide is segmented by one that never saw it")
    epochs: int = Field(40, ge=1, le=10_000, description="passes over the slides of a fold")
    batch_size: int = Field(6, ge=2, le=256, description="slides per step of training")
    learning_rate: float = Field(2e-3, gt=0.0, le=1.0, description="highest rate; it rises at first, then falls")
    weight_decay: float = Field(0.01, ge=0.0, le=10.0, description="of AdamW")
    zoom: float = Field(0.25, ge=0.0, le=0.9, description="training pictures are scaled by up to this much, either way")
    jitter: float = Field(
        0.1, ge=0.0, le=0.5, description="how much the two dyes vary in training; 0 leaves them alone"
    )
    num_threads: int = Field(
        1, ge=1, le=256, description="processor threads of each network; the last bits depend on it"
    )

    @model_validator(mode="after")
    def _nothing_without_effect(self) -> Self:
        if self.weights is not None and self.init == "random":
            raise ValueError("`weights` names a file, but `init` is random; set init to pretrained, or leave it out")
        if self.networks is not None and self.model_dump(exclude={"networks"}) != type(self)().model_dump(
            exclude={"networks"}
        ):
            raise ValueError("`networks` are used as they were trained; leave out the other options of `unet`")
        return self


_SAM = "facebook/sam-vit-base"
_SAM_COMMIT = "70c1a07f894ebb5b307fd9eaaee97b9dfc16068f"  # that several public projects pin, each by itself


class SamConfig(BaseModel):
    """Segment Anything (Kirillov et al. 2023), asked for the object in each piece of tissue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    checkpoint: str = Field(_SAM, min_length=1, description="a hub id of SAM, or a local folder that holds one")
    revision: str | None = Field(
        None,
        min_length=1,
        description="commit or branch of the hub's repository; null: a pinned commit of the default, `main` of others",
    )
    max_prompts: int = Field(16, ge=1, le=256, description="pieces of tissue asked for, the largest first")

    @property
    def hub_revision(self) -> str:
        """What is fetched where `checkpoint` is a hub id."""
        return self.revision or (_SAM_COMMIT if self.checkpoint == _SAM else "main")


# A default of earlier versions, which their runs have written down.
_FORMER_SAM = SamConfig(revision="main")


class SegmentConfig(BaseModel):
    """Whether masks are made, how, and for which slides. An option that would have no effect is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Method = Field(
        "none",
        description=(
            "none keeps masks as they are; tissue: by optical density; unet: learnt from the cohort's own masks, each "
            "slide's without it; sam: Segment Anything"
        ),
    )
    slides: Literal["all", "without_mask"] = Field(
        "all", description="give every slide a new mask, or only those that have none of use"
    )
    mask_threshold: float = Field(
        0.5, gt=0.0, lt=1.0, description="probability from which a pixel is in the region; lower takes in more"
    )
    smallest_region: float = Field(
        0.001, ge=0.0, le=0.5, description="pieces and holes below this share of the slide go and are filled"
    )
    boundary_tolerance: float = Field(
        0.01, gt=0.0, le=0.2, description="share of the slide's diagonal by which boundaries may differ and still agree"
    )
    unet: UNetConfig = Field(UNetConfig(), description="of method unet")
    sam: SamConfig = Field(SamConfig(), description="of method sam")

    @model_validator(mode="after")
    def _nothing_without_effect(self) -> Self:
        idle = [name for name in ("unet", "sam") if name != self.method]
        idle += ["mask_threshold"] * (self.method not in {"unet", "sam"})
        idle += ["slides", "smallest_region", "boundary_tolerance"] * (self.method == "none")
        for name in idle:
            if getattr(self, name) not in (type(self).model_fields[name].default, _FORMER_SAM):
                raise ValueError(f"segment.{name} has no effect with method {self.method}; drop one of the two")
        return self
