"""How an encoder learns from tiles without labels, before the network is trained on them with labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tilewise.training_config.augment import AugmentConfig

Method = Literal["none", "simclr"]


def _views() -> AugmentConfig:
    """Two views of one place in a tissue: any way round, a part of it, in another stain and focus."""
    return AugmentConfig.model_validate(
        {
            "horizontal_flip": 0.5,
            "quarter_turn": 0.75,
            # A part of half to four fifths of its side, shifted so little that no glass comes in from outside.
            "affine": {"probability": 0.8, "degrees": 0.0, "translation": 0.12, "scale": (1.25, 2.0)},
            "color": {"probability": 0.8, "brightness": 0.3, "contrast": 0.3, "saturation": 0.3, "hue": 0.05},
            "hed": {"probability": 0.5, "strength": 0.1},
            "blur": {"probability": 0.3, "sigma_px": (0.1, 1.0)},
        }
    )


class PretrainConfig(BaseModel):
    """Whether, and how, the encoder of each fold learns from the tiles of its train part without their labels first.

    Device, precision, layout of channels, compiling, threads and clipping are those of `training`. Nothing else of it
    acts here: batches are not accumulated, since a view is told only from those of its own batch; weights are not
    averaged; and one device does it, whatever `training.engine.devices` says. An option of this section that would have
    no effect is refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Method = Field(
        "none",
        description="none: the encoder starts as `encoder` says. simclr: it first learns to tell two views of one tile "
        "from those of other tiles (Chen et al. 2020). Of `training`, it takes num_threads, step.precision, "
        "step.clip_norm, and of engine device (one), channels_last and compile; nothing else.",
    )
    epochs: int = Field(50, ge=1, le=100_000, description="Passes over the tiles; the rate rises in the first tenth.")
    batch_size: int = Field(
        64,
        ge=2,
        le=65_536,
        description="Tiles per step, at most. Each is seen twice, and told from all others of its batch; the more, the "
        "harder.",
    )
    learning_rate: float = Field(1e-3, gt=0.0, le=10.0, description="Highest rate (adamw); it falls as a cosine.")
    weight_decay: float = Field(0.01, ge=0.0, le=100.0, description="As in `training`; biases and norms do not shrink.")
    temperature: float = Field(
        0.2,
        ge=0.01,
        le=10.0,
        description="Likenesses are divided by it; the smaller it is, the more the most alike tiles count.",
    )
    projection_dim: int = Field(
        128, ge=2, le=65_536, description="Length of the vectors that are compared; only pretraining has them."
    )
    projection_hidden: int | None = Field(
        None,
        ge=2,
        le=65_536,
        description="Width of the layer between the encoder's features and these vectors; left out: as many as the "
        "features.",
    )
    augment: AugmentConfig = Field(
        default_factory=_views,
        description="How the two views of a tile differ. What is left out is as it is here, not as in `augment`.",
    )
    use_unlabelled: bool = Field(
        False,
        description="Also learn from slides without a label, except those that belong together with a slide that is "
        "not in the fold's train part.",
    )

    @field_validator("augment", mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        return _over(_views().model_dump(), values) if isinstance(values, Mapping) else values

    @model_validator(mode="after")
    def _nothing_without_effect(self) -> Self:
        if self.method == "none":
            for name, field in type(self).model_fields.items():
                if name != "method" and getattr(self, name) != field.get_default(call_default_factory=True):
                    raise ValueError(
                        f"pretrain.{name} has no effect with `method: none`; set pretrain.method=simclr or drop it"
                    )
        elif self.augment.is_off:
            raise ValueError(
                "pretrain.augment changes nothing: two views of a tile would be the same, and nothing could be learnt "
                "from them; switch some of it on, or set pretrain.method=none"
            )
        return self


def _over(defaults: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """What is given, over the defaults, section by section."""
    merged = dict(defaults)
    for key, value in values.items():
        below = merged.get(key)
        merged[key] = _over(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged
