"""Which encoder, with which weights, run how."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Engine = Literal["torch", "openvino"]
Precision = Literal["float32", "bfloat16"]


class EncoderConfig(BaseModel):
    """What turns tiles into vectors. What is left at `auto` is chosen by a rule, once, and stored with the run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field("texture", description="an encoder that `tilewise encoders` lists; plugins have names with a dot")
    init: Literal["pretrained", "random"] = Field(
        "pretrained", description="trained weights, or random ones drawn from the seed, for training from scratch"
    )
    weights: Path | None = Field(
        None, description="local file: safetensors, or a torch state dict; None looks in the weights folder and the hub"
    )
    pooling: Literal["last", "stages"] = Field(
        "last",
        description="What of a network makes the features. last: its last layer, as its authors take it. stages: the "
        "spatial means, and for early stages deviations, of what several stages give, side by side; of a vision "
        "transformer, class token and mean patch token of several blocks. `tilewise encoders show NAME` lists them.",
    )
    with_texture: bool = Field(
        False,
        description="The tile's embedded texture description beside the network's features (training.input=features).",
    )
    engine: Literal["auto", Engine] = Field(
        "auto", description="auto: OpenVINO where it is installed and there is no GPU, else torch"
    )
    precision: Literal["auto", Precision] = Field(
        "auto", description="auto: bfloat16 where the processor computes in it, else float32"
    )
    batch_size: int | None = Field(
        None, ge=1, le=4096, description="tiles per network call; the last call is padded; None: by the engine"
    )
    threads: int | None = Field(None, ge=1, le=1024, description="processor threads; None: all this process may use")

    @model_validator(mode="after")
    def _random_has_no_file(self) -> EncoderConfig:
        if self.init == "random" and self.weights is not None:
            raise ValueError("`weights` names a file, but `init` is random; leave one of them out")
        return self
