"""On which machine, and how, a network is trained on pixels."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class EngineConfig(BaseModel):
    """Where a network on pixels computes, and what is kept beside it; of `training.input: tiles`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where the network computes. auto: on a graphics card where there is one."
    )
    devices: Annotated[int, Field(ge=1, le=1024)] | Literal["all"] = Field(
        1,
        description="How many train one network together, each on its share of every batch. all: every graphics card; "
        "on a processor one. A number: so many graphics cards, or processes on a processor. The steps are those of one "
        "device, but for rounding, for dropout, and for BatchNorm, which sees the tiles of its own share.",
    )
    cache_megabytes: int = Field(
        2000,
        ge=0,
        le=10_000_000,
        description="Decoded tiles that are kept in memory; those of further slides lie in the cache folder. Random "
        "views that are drawn anew take as much again, and lie in the fold's folder beyond it.",
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
    log: Literal["none", "tensorboard", "mlflow"] = Field(
        "none",
        description="Where the history is also written, in the fold's folder. tensorboard: into `tensorboard/`. "
        "mlflow: into `mlflow/`, a store of files that MLflow's own server shows once MLFLOW_ALLOW_FILE_STORE=true is "
        "set (needs the extra `mlflow`; nothing is sent anywhere).",
    )

    @model_validator(mode="after")
    def _alone_where_it_has_to_be(self) -> Self:
        if self.compile and self.devices != 1:
            raise ValueError("engine.compile is for one device; set training.engine.devices=1, or drop it")
        return self
