"""On which machine, and how, a network is trained on pixels."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class EngineConfig(BaseModel):
    """Where a network on pixels computes, and what is kept beside it; of `training.on: pixels`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where the network computes. auto: on a graphics card where there is one."
    )
    cache_megabytes: int = Field(
        2000,
        ge=0,
        le=10_000_000,
        description="Decoded tiles that are kept in memory; those of further slides lie in the cache folder.",
    )
    channels_last: bool = Field(
        False,
        description="Channels of a pixel lie together: mostly faster for convolutions, on a graphics card above all.",
    )
    compile: bool = Field(
        False,
        description="Compile the network first (torch.compile), which takes a minute; needs a C++ compiler, on a "
        "graphics card Triton.",
    )
    tensorboard: bool = Field(False, description="Also write the history for TensorBoard, into `tensorboard/`.")
