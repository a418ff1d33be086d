"""What a network on pixels is shown, and how much of it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Input = Literal["image", "mask_channel", "dual_branch", "dual_stream", "multi_scale"]
Trained = Literal["frozen", "last", "progressive", "all"]
Grain = Literal["coarse", "fine"]


class NetworkConfig(BaseModel):
    """An encoder that may be trained, what it is shown, and what stands between it and the head."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: Input = Field(
        "image",
        description="image: the tile. mask_channel: the tile with its mask as a fourth channel. dual_branch: the tile, "
        "and its mask in an encoder of its own, features joined. dual_stream: the tile and the whole slide, features "
        "joined. multi_scale: several fields of view around one place, features joined.",
    )
    trained: Trained = Field(
        "frozen",
        description="How much of the encoder is trained. frozen: nothing; last: its last blocks; progressive: nothing "
        "at first, then more blocks stage by stage, to all; all: everything from the first epoch. The head, and what "
        "the mask is read by, are always trained. `tilewise encoders show NAME` lists the blocks.",
    )
    blocks: Grain = Field(
        "coarse", description="What counts as a block. coarse: a stage of the network; fine: one of its layers."
    )
    last_blocks: int = Field(1, ge=0, le=512, description="last: how many blocks are trained; 0 is as frozen.")
    blocks_per_stage: int = Field(2, ge=1, le=512, description="progressive: how many more blocks each stage trains.")
    epochs_per_stage: int = Field(
        20, ge=1, le=10000, description="progressive: epochs of a stage; so many, head alone."
    )
    layer_decay: float = Field(
        1.0,
        gt=0.0,
        le=1.0,
        description="The learning rate of a block is that of the block after it times this; that of the head is whole.",
    )
    pooling: Literal["encoder", "average", "flatten"] = Field(
        "encoder",
        description="encoder: what the encoder gives, as encoder.pooling says. average: the mean of its last feature "
        "map, or of a transformer's tile tokens; layers that come after it, such as VGG's two fully connected ones, "
        "are left out. Nothing changes for ResNet, DenseNet, EfficientNet, MobileNetV1, Xception and Swin, which pool "
        "so by themselves. flatten: the same map with each of its places kept apart, so that the head has a weight for "
        "each (100,352 inputs of ResNet-50 at 224 px).",
    )
    crop_px: int | None = Field(
        None,
        ge=16,
        le=2048,
        description="Squares of this side are cut out of the tiles (tiles.size_px), before they are resized to "
        "input_px: at random places while the network learns, the middle in scoring and prediction. null: whole tiles. "
        "Not for multi_scale, and the whole slide of dual_stream is not cropped.",
    )
    input_px: int | None = Field(
        None, ge=32, le=2048, description="Side of the square that tiles are resized to; null: the encoder's own."
    )
    mask_weights: Literal["zero", "mean"] = Field(
        "zero",
        description="mask_channel: weights of the fourth channel at the start. zero: the mask changes nothing at "
        "first; mean: the mean of the weights of red, green and blue.",
    )
    mask_encoder: str = Field("simple_cnn", description="dual_branch: the encoder of the mask; any but texture.")
    mask_init: Literal["random", "pretrained"] = Field(
        "random", description="dual_branch: weights of the mask's encoder at the start."
    )
    streams: Literal["shared", "separate"] = Field(
        "shared",
        description="dual_stream: whether tile and slide go through one encoder, or the slide through a second one "
        "that starts from the same weights and is trained as far as the first.",
    )
    num_fields: int = Field(2, ge=2, le=8, description="multi_scale: fields of view of a tile.")

    @model_validator(mode="after")
    def _refuse_what_has_no_effect(self) -> Self:
        if self.crop_px is not None and self.input == "multi_scale":
            raise ValueError(
                "network.crop_px would tear the fields of one place apart (network.input: multi_scale); drop it"
            )
        for name, (key, values) in _ONLY_WITH.items():
            changed = getattr(self, name) != type(self).model_fields[name].default
            if changed and getattr(self, key) not in values:
                raise ValueError(
                    f"network.{name} has no effect with `{key}: {getattr(self, key)}`; "
                    f"set network.{key}={' or '.join(values)}, or drop it"
                )
        return self


# A field that was changed, and the key whose values give it a meaning.
_ONLY_WITH: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "blocks": ("trained", ("last", "progressive", "all")),
    "last_blocks": ("trained", ("last",)),
    "blocks_per_stage": ("trained", ("progressive",)),
    "epochs_per_stage": ("trained", ("progressive",)),
    "layer_decay": ("trained", ("last", "progressive", "all")),
    "mask_weights": ("input", ("mask_channel",)),
    "mask_encoder": ("input", ("dual_branch",)),
    "mask_init": ("input", ("dual_branch",)),
    "streams": ("input", ("dual_stream",)),
    "num_fields": ("input", ("multi_scale",)),
}
