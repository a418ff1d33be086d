"""What stands between a tile's features and its class probabilities."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class HeadConfig(BaseModel):
    """The head of a model: features in, logits out, and how those of a slide's tiles become the slide's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["linear", "mlp"] = Field("linear", description="linear: softmax regression. mlp: hidden layers.")
    hidden_sizes: tuple[Annotated[int, Field(ge=1, le=65536)], ...] = Field(
        (128,), min_length=1, max_length=8, description="Units of each hidden layer (kind mlp)."
    )
    norm: Literal["none", "batch", "layer", "group"] = Field(
        "none",
        description="BatchNorm, LayerNorm or GroupNorm before the first linear layer and before every further hidden "
        "layer. group: as many groups as divide the inputs evenly, at most 32, of at least 4 inputs each.",
    )
    dropout: float = Field(
        0.0, ge=0.0, lt=1.0, description="Share of inputs dropped before every linear layer; attention drops none."
    )
    activation: Literal["relu", "silu"] = Field("relu", description="What follows each hidden layer (kind mlp).")
    aggregate: Literal["mean", "majority", "max", "attention"] = Field(
        "mean",
        description="From tiles to the slide, in scoring and in prediction alike. mean: of their probabilities. "
        "majority: share of the tiles that vote for each class. max: the highest probability of each class over the "
        "tiles, scaled to sum to 1. attention: the head sees one vector per slide, the mean of its tiles' features by "
        "weights that are learnt (gated attention, Ilse et al. 2018); heads on features only.",
    )
    attention_size: int = Field(
        128, ge=1, le=65536, description="Hidden units that weigh the tiles (aggregate attention)."
    )

    @property
    def pools(self) -> bool:
        """Whether the head sees one vector per slide, and no tile by itself."""
        return self.aggregate == "attention"

    @model_validator(mode="after")
    def _refuse_what_has_no_effect(self) -> Self:
        for name in ("hidden_sizes", "activation"):
            if self.kind == "linear" and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"head.{name} has no effect with `kind: linear`; set head.kind=mlp or drop it")
        if not self.pools and self.attention_size != type(self).model_fields["attention_size"].default:
            raise ValueError(
                f"head.attention_size has no effect with `aggregate: {self.aggregate}`; set head.aggregate=attention "
                "or drop it"
            )
        return self
